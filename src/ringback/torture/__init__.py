"""`ringback torture`: a conformance test for receivers of webhooks.

    target ─► maker ─► battery ─► run ─► verdicts
              signs    cases      dials, asks what took effect, judges

Our own `verify` is the measure: a request that it refuses must be refused, one that it accepts must
be accepted, so no case asks of a receiver what its provider's scheme cannot give. Nothing is sent
to an address that is not this machine's unless the caller says that the receiver is theirs.
"""
