"""The last metre: the only room that dials out.

    url       text → a strict, normalised URL          target   URL + headers → a ready request head
    headers   which custom headers may be sent         outcome  what an engine reads off a result
    client    posts: answer → connection → exchange    port     the seam that the engine knows
    resolve   names → addresses that policy allows     dial     TCP, CONNECT and TLS to one address
    pool      kept-alive connections                   exchange one request and its response

An address is dialled only when `rules.egress` has allowed that very address. Redirects are not
followed, the environment's proxies are not used, cookies are neither kept nor sent.
"""
