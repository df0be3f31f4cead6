"""Files in and out: the one way in which kinflow opens what it is given and writes what it makes.

Reading nobody's files is the dangerous half. `reading` bounds what is taken from disk and turns
whatever a damaged file makes a parser raise into one `InputError`; `json_files`, `npz_files`,
`tensor_files` and `plain_pickle` read the four containers that data comes in, limits first, and
never run what they read. `atomic` writes whole files or nothing, `folders` whole result folders,
which `marker` tells from everybody else's; `locks` and `exchange` are what they stand on.
"""
