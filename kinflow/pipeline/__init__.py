"""The main job over many photos: files in, result folders and events out.

Nothing here prints, reads the command line or holds state of the process, so that the command line,
a server and a notebook drive the same code (`kinflow.pipeline.photos.Pipeline`).
"""
