"""The page of providers says what there is, and nothing in it breaks a table."""

from ringback.receive import catalogue, providers


def test_every_provider_has_a_row_in_each_table() -> None:
    text = catalogue.page()

    for scheme in providers():
        rows = [line for line in text.splitlines() if line.startswith(f"| `{scheme.name}` |")]
        assert len(rows) == 2, scheme.name
        assert scheme.documentation in rows[0]
        assert rows[0].endswith(f"| {scheme.confidence} |")
    widths = {line.replace(r"\|", "").count("|") for line in text.splitlines() if line[:1] == "|"}
    assert widths == {11, 4}


def test_every_handshake_is_described() -> None:
    described = {name for name, _ in catalogue._handshakes()}

    answered = {scheme.name for scheme in providers() if scheme.respond}
    assert answered <= described
    # Xero's needs no answer of its own: good requests are accepted and bad ones refused.
    assert described - answered == {"xero"}


def test_what_is_left_out_is_said_with_its_reason() -> None:
    _, _, section = catalogue.page().partition("## Not here, and why")

    for name in ("Event Grid", "WebSub", "Monday", "SharedKey", "Jira", "validationTokens"):
        assert name in section
    for name in ("Inbound Parse", "Paddle Classic", "flows", "FusionAuth"):
        assert name in section
    assert all(": " in line for line in section.splitlines() if line.startswith("- "))
