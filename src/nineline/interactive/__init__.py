"""The playground: watch and steer a training in a browser or in a notebook, on the engine that trains.

`session` holds one training with what looks at it, and knows nothing of browsers: it is handed messages and hands out
others (`messages`). `server` carries them over a WebSocket, `widget` over a notebook's kernel; the page at the other
end is the same, in `page/`.
"""
