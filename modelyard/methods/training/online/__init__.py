"""Learning from a stream: every labelled row is answered first and learned then, in bounded memory."""
