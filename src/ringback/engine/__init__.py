"""The path of a message, in order: accept, dispatch, deliver, record; then claim, tend, replay."""
