"""Pickles that mean harm: every opcode misused, forged arrays, calls, bombs, mutations."""

import pickle
import pickletools
import random
from pathlib import Path

import numpy as np
from pickle_pieces import (
    OBJECTS,
    SMPL_FIELDS,
    UNFILLED,
    array,
    as_field,
    call,
    dtype,
    group,
    listed,
    mapping,
    name,
    new,
    numbers,
    octets,
    selection,
    sparse,
    text,
    whole,
)

MUTATIONS = 160
PROGRAMS = 200


# kinds of harm; each gives pieces by name, to which only the end mark is missing


def misused_opcodes() -> dict[str, bytes]:
    """Every opcode cut off and with arguments that are extreme; with an argument that is good on an
    empty stack, on wrong values, on nothing but marks, and over and over."""
    pieces = {}
    for opcode in pickletools.opcodes:
        code = opcode.code.encode("latin1")
        label = opcode.name.lower()
        good = code + good_argument(opcode)
        pieces |= {
            f"{label}_cut": code,
            f"{label}_cut_late": good[:-1],
            f"{label}_empty": good,
            f"{label}_on_none": b"NNNN" + good,
            f"{label}_on_text": text("a") * 4 + good,
            f"{label}_on_numbers": whole(-1) * 4 + good,
            f"{label}_on_containers": b"])}" + good,
            f"{label}_on_names": name("numpy.dtype") * 3 + good,
            f"{label}_on_tuples": name("numpy.ndarray") + b")p0\n)" + good,
            f"{label}_on_array": array() + whole(0) + good,
            f"{label}_on_marks": b"](}((" + good,
            f"{label}_often": b"(]" + good * 300,
            f"{label}_huge": b"]" + code + b"\xff\xff\xff\x7f" + b"\xff" * 12 + b"\n\n",
            f"{label}_largest": b"]" + code + b"\xff" * 20 + b"\n\n",
            f"{label}_negative": b"]" + code + b"\0\0\0\x80" + bytes(8),
            f"{label}_below_zero": b"]" + code + b"-9999999999999999999\n-1\n",
            f"{label}_long": b"]" + code + b"9" * 5000 + b"\n" + b"9" * 5000 + b"\n",
        }
    return pieces


def good_argument(opcode: pickletools.OpcodeInfo) -> bytes:
    """An argument of the form that the opcode takes; of texts and numbers an empty or small one."""
    if opcode.arg is None:
        return b""
    if opcode.name in ("GLOBAL", "INST"):
        return b"chumpy.ch\nCh\n"
    if opcode.arg.n >= 0:
        return bytes(opcode.arg.n)
    if opcode.arg.n == pickletools.UP_TO_NEWLINE:
        return b"''\n" if opcode.name == "STRING" else b"0\n"
    widths = {"1": 1, "4": 4, "8": 8}
    return bytes(next(width for digit, width in widths.items() if digit in opcode.arg.name))


def forged_arrays() -> dict[str, bytes]:
    codes = ["V8", "V0", "O8", "O", "S0", "S99999999", "U0", "M8", "f16", "f3", ">f8", "f8,O8"]
    codes += ["(1000000,)f8", "{}", "object", "", "i" * 10_000, "\u00b5", "f8\n"]
    big = numbers(np.zeros(100_000), "i1")
    pieces = {f"dtype_{i}": array(kind=dtype(code)) for i, code in enumerate(codes)}
    sub = group(dtype(), group(whole(100_000)))
    fields = mapping(f0=group(dtype("O8", b"N"), whole(0)))
    states = {
        "sub": group(whole(3), text("|"), sub, b"NN", whole(8), whole(1), whole(0)),
        "fields": group(
            whole(3), text("|"), b"N", group(text("f0")), fields, whole(8), whole(1), whole(0)
        ),
        "size_0": group(whole(3), text("<"), b"NNN", whole(0), whole(1), whole(0)),
        "size_huge": group(whole(3), text("<"), b"NNN", whole(2**62), whole(1), whole(0)),
        "order": group(whole(3), text("O"), b"NNN", whole(-1), whole(-1), whole(0)),
        "order_long": group(whole(3), text("<f8, O"), b"NNN", whole(-1), whole(-1), whole(0)),
        "version": group(whole(99), text("<"), b"NNN", whole(-1), whole(-1), whole(0)),
        "short": group(whole(3), text("<")),
        "long": group(*[whole(3)] * 30),
        "metadata": group(
            whole(4), text("<"), b"NNN", whole(-1), whole(-1), whole(0), mapping(a=whole(1))
        ),
        "flags": group(whole(3), text("<"), b"NNN", whole(-1), whole(-1), whole(63)),
        "sizes": group(whole(3), text("<"), b"NNN", text("a"), b"N", b"]"),
        "dict": mapping(__setstate__=name("numpy.dtype"), names=group(text("f0"))),
        "none": b"N",
    }
    for key, state in states.items():
        pieces[f"dtype_state_{key}"] = array(kind=dtype("f8", state))
        pieces[f"dtype_state_{key}_scalar"] = call(
            "numpy.core.multiarray.scalar", dtype("f8", state), octets(bytes(8))
        )
        pieces[f"dtype_state_{key}_buffer"] = call(
            "numpy.core.numeric._frombuffer",
            octets(bytes(8)),
            dtype("f8", state),
            group(whole(1)),
            text("C"),
        )
    shapes = {
        "more": group(whole(2)),
        "huge": group(whole(2**40), whole(2**40)),
        "wraps": group(whole(2**32), whole(2**32), whole(1)),
        "negative": group(whole(-1)),
        "negatives": group(whole(-1), whole(-1)),
        "empty_huge": group(whole(0), whole(2**62), whole(2**62)),
        "axes": group(*[whole(1)] * 60),
        "floats": group(b"F1.0\n"),
        "text": text("1"),
        "none": b"N",
        "nested": group(group(whole(1))),
        "array": numbers([1]),
        "long": group(b"L" + b"9" * 1000 + b"L\n"),
    }
    for key, shape in shapes.items():
        pieces[f"shape_{key}"] = array(shape)
        pieces[f"shape_{key}_buffer"] = call(
            "numpy._core.numeric._frombuffer", octets(bytes(8)), dtype(), shape, text("C")
        )
        pieces[f"shape_{key}_objects"] = array(shape, dtype("O8", OBJECTS), listed(whole(1)))
    contents = {
        "none": b"N",
        "list": listed(whole(1)),
        "wide": text("\u4e00" * 8),
        "array": array(),
    }
    contents |= {"int": whole(2**62), "name": name("numpy.ndarray"), "tuple": group(whole(1))}
    pieces |= {f"content_{key}": array(content=content) for key, content in contents.items()}
    pieces |= {
        "letters_that_cannot_be": array(kind=dtype("U2"), content=octets(b"\xff" * 8)),
        "truth_that_cannot_be": array(
            group(whole(3)), dtype("b1"), octets(b"\x02\xff\x01"), b"\x89"
        ),
        "objects_that_hold_themselves": UNFILLED
        + b"p0\n"
        + group(whole(1), group(whole(1)), dtype("O8", OBJECTS), b"\x89", listed(b"g0\n"))
        + b"b",
        "axes_repeated": call(
            "numpy._core.numeric._frombuffer",
            octets(bytes(64)),
            dtype(),
            group(whole(2), whole(2), whole(2)),
            text("K"),
            group(whole(0), whole(0), whole(0)),
        ),
        "array_twice": array()[:-1] + b"2bb",
        "array_unfilled": listed(UNFILLED),
        "array_of_class": call(
            "numpy.core.multiarray._reconstruct", name("numpy.dtype"), group(whole(0)), octets(b"b")
        ),
        "ndarray_called": call("numpy.ndarray", group(whole(2**32)), dtype(), octets(bytes(8))),
        "strides": call(
            "numpy.ndarray",
            group(whole(2**32)),
            dtype(),
            octets(bytes(8)),
            whole(0),
            group(whole(0)),
        ),
        "array_called": big + big + group() + b"R",
        "array_for_base": call("copyreg._reconstructor", name("chumpy.ch.Ch"), big, b"N"),
        "array_for_order": call(
            "numpy._core.numeric._frombuffer", octets(bytes(8)), dtype(), group(whole(1)), big
        ),
        "array_for_version": array(
            kind=dtype("f8", group(big, text("<"), b"NNN", whole(-1), whole(-1), whole(0)))
        ),
        "array_for_class": big + b")\x81",
        "array_for_key": b"}" + big + b"Ns",
        "dtype_of_dtype": call("numpy.dtype", dtype()),
        "dtype_of_itself": call("numpy.dtype", text("f8")) + b"q\x002h\x00b",
    }
    return pieces


def forged_matrices() -> dict[str, bytes]:
    far = np.array([0, 10**9, 10**9])
    shape_huge = group(whole(10**9), whole(10**9))
    wrong = {
        "indptr_far": {"indptr": numbers(far)},
        "indptr_list": {"indptr": listed(whole(0), whole(10**9), whole(10**9))},
        "indptr_falls": {"indptr": numbers([0, 2, 1])},
        "indptr_falls_below": {"indptr": numbers([0, -(2**40), 2])},
        "indptr_wraps": {"indptr": numbers(np.array([0, 2**64 - 1, 2], np.uint64), "u8")},
        "indptr_short": {"indptr": numbers([0])},
        "indptr_none": {"indptr": numbers([])},
        "indptr_floats": {"indptr": numbers([0, 1, 2], "f8")},
        "indices_far": {"indices": numbers([0, 10**12])},
        "indices_below": {"indices": numbers([0, -1])},
        "indices_many": {"indices": numbers(list(range(50)))},
        "shape_huge": {"_shape": shape_huge},
        "shape_wide": {"_shape": group(whole(0), whole(2**31 - 1))},
        "shape_text": {"_shape": text("ab")},
        "shape_negative": {"_shape": group(whole(-2), whole(-2))},
        "data_text": {"data": text("12")},
        "data_objects": {"data": listed(b"}", b"}")},
        "data_short": {"data": numbers([1], "f8")},
    }
    pieces = {}
    for key, parts in wrong.items():
        pieces |= {f"{kind}_{key}": sparse(kind, **parts) for kind in ("csc", "csr")}
    row = {"row": numbers([0, 5]), "col": numbers([0, 1]), "indices": b"N", "indptr": b"N"}
    pieces["coo_far"] = sparse("coo", **row)
    pieces["coo_huge"] = sparse("coo", **row, _shape=shape_huge)
    pieces["dia"] = sparse("dia")
    pieces["no_state"] = name("scipy.sparse.csc.csc_matrix") + b")\x81"
    pieces["bomb_repeat"] = sparse(
        _shape=group(whole(1), whole(2)), indptr=numbers([0, 2**40, 2**40 + 1])
    )
    inside = numbers([1, 2], "f8")
    pieces |= {
        "select_far": selection(inside, numbers([5])),
        "select_itself": mapping(a=whole(1)) + b"q\x00" + selection(b"h\x00", numbers([0])),
        "select_shape": selection(inside, numbers([0]), preferred_shape=shape_huge),
        "select_shape_array": selection(inside, numbers([0]), preferred_shape=numbers(far)),
        "select_by_select": selection(inside, selection(inside, numbers([0]))),
        "chumpy_other": new("chumpy.ch.MatVecMult", mapping(x=inside)),
        "chumpy_setattr": new("chumpy.ch.Ch", mapping(__class__=whole(1), __dict__=b"}")),
        "chumpy_slots": new("chumpy.ch.Ch", group(b"N", mapping(x=inside))),
    }
    # two of the one before, fifty times: 2^50 when each is worked out
    doubled = b"".join(
        name("chumpy.ch.add")
        + b")\x81"
        + mapping(a=b"g%d\n" % i, b=b"g%d\n" % i)
        + b"bp%d\n0" % (i + 1)
        for i in range(50)
    )
    pieces["chumpy_doubled"] = inside + b"p0\n0" + doubled + b"g50\n"
    chain = inside
    for _ in range(60):
        chain = selection(chain, numbers([0, 1]))
    pieces["select_chain"] = chain
    own = name("chumpy.ch.Ch") + b")\x81p0\n" + mapping(x=b"g0\n") + b"b"
    pieces["chumpy_of_itself"] = own
    return pieces


def calls(canary: Path) -> dict[str, bytes]:
    """Ways to call something; each that works leaves a file behind."""
    touch, path = text(f"touch {canary}"), text(str(canary))
    code = text(f"open({str(canary)!r}, 'w').close()")
    targets = {
        "os.system": (touch,),
        "posix.system": (touch,),
        "nt.system": (touch,),
        "subprocess.Popen": (listed(text("touch"), path),),
        "subprocess.call": (listed(text("touch"), path),),
        "builtins.eval": (code,),
        "builtins.exec": (code,),
        "__builtin__.eval": (code,),
        "__builtin__.file": (path, text("w")),
        "builtins.open": (path, text("w")),
        "io.open": (path, text("w")),
        "os.mkdir": (path,),
        "pathlib.Path.touch": (path,),
        "shutil.copy": (text("/etc/hostname"), path),
        "pickle.loads": (octets(b"cos\nmkdir\n(" + path + b"tR."),),
        "numpy.load": (path,),
        "numpy.memmap": (path, text("u1"), text("w+"), whole(0), group(whole(1))),
        "numpy.savetxt": (path, listed(whole(1))),
        "numpy.fromfile": (path,),
        "numpy.core.memmap.memmap": (path, text("u1"), text("w+")),
        "numpy.testing._private.utils.runstring": (code, b"}"),
        "numpy.f2py.crackfortran.myeval": (code,),
        "scipy.sparse.save_npz": (path, whole(1)),
        "chumpy.ch.eval": (code,),
        "importlib.import_module": (text("antigravity"),),
        "builtins.__import__": (text("antigravity"),),
        "builtins.getattr": (name("numpy.ndarray"), text("tofile")),
        "operator.attrgetter": (text("system"),),
        "functools.partial": (name("numpy.dtype"), text("f8")),
        "copyreg.__newobj__": (name("numpy.ndarray"), group(whole(2**20))),
        "copyreg._reconstructor": (name("numpy.ndarray"), name("builtins.object"), b"N"),
        "copyreg.add_extension": (text("os"), text("system"), whole(1)),
        "types.CodeType": (whole(0),) * 13,
        "sys.setrecursionlimit": (whole(10),),
        "builtins.setattr": (name("numpy.ndarray"), text("a"), whole(1)),
        "_codecs.encode": (text("x"), text("rot13")),
        "_codecs.decode": (octets(b"x"), text("zip")),
        "builtins.bytearray": (whole(2**40),),
        "builtins.bytes": (whole(2**40),),
        "builtins.set": (b"(lp0\n0]q\x01h\x01a",),
        "collections.OrderedDict": (listed(listed(b"]", b"]")),),
        "builtins.range": (whole(2**40),),
        "builtins.str.join": (text(""), listed(text("a"))),
    }
    pieces = {}
    for full, arguments in targets.items():
        pieces[f"call_{full}"] = call(full, *arguments)
        module, _, last = full.rpartition(".")
        plain = f"{module}\n{last}\n".encode()
        pieces[f"inst_{full}"] = b"(" + b"".join(arguments) + b"i" + plain
        pieces[f"obj_{full}"] = b"(" + name(full) + b"".join(arguments) + b"o"
        pieces[f"newobj_{full}"] = name(full) + group(*arguments) + b"\x81"
        pieces[f"stack_{full}"] = text(module) + text(last) + b"\x93" + group(*arguments) + b"R"
    pieces |= {
        "dotted": text("numpy") + text("core.multiarray._reconstruct.__globals__") + b"\x93",
        "newobj_ex": name("os.system") + b")" + mapping(command=touch) + b"\x92",
        "newobj_ex_chumpy": name("chumpy.ch.Ch") + b")" + mapping(x=touch) + b"\x92",
        "build_name": name("numpy.ndarray") + mapping(__setstate__=name("numpy.dtype")) + b"b",
        "build_module": name("chumpy.ch.Ch") + mapping(__reduce__=whole(1)) + b"b",
        "build_dict": b"}" + mapping(__class__=name("numpy.ndarray")) + b"b",
        "build_array": array() + mapping(__class__=name("numpy.dtype")) + b"b",
        "build_slots": b"]" + group(b"N", mapping(append=name("numpy.dtype"))) + b"b",
        "append_to_name": name("numpy.ndarray") + whole(1) + b"a",
        "set_item_of_array": array() + whole(0) + whole(1) + b"s",
        "set_item_of_object": new("chumpy.ch.Ch", b"}") + text("x") + whole(1) + b"s",
        "call_an_array": array() + b")R",
        "call_text": text("os.system") + group(touch) + b"R",
        "call_an_object": new("chumpy.ch.Ch", b"}") + b")R",
    }
    return pieces


def bombs() -> dict[str, bytes]:
    """Much out of little: memory, time, depth."""
    laugh = b"(" + b"K\x01" * 10 + b"lp0\n0"
    doubling = b"".join(b"(" + b"g%d\n" % i * 10 + b"tp%d\n0" % (i + 1) for i in range(12))
    big = b"\x8e" + (1 << 20).to_bytes(8, "little") + bytes(1 << 20)
    period = 2**61 - 1
    pieces = {
        "laughs": laugh + doubling + b"g12\n",
        "laughs_as_keys": b"}" + laugh.replace(b"l", b"t") + doubling + b"g12\nNs",
        "laughs_of_text": text("a" * 10_000) + b"p0\n0" + doubling + b"g12\n",
        "laughs_wide": b"(" + b"K\x01" * 50_000 + b"lp0\n0(" + b"g0\n" * 50_000 + b"l",
        "all_in_all": b"".join(b"]p%d\n0" % i for i in range(40))
        + b"".join(
            b"g%d\n(" % i + b"".join(b"g%d\n" % j for j in range(40)) + b"e0" for i in range(40)
        )
        + b"g0\n",
        "laughs_itself": b"]p0\n(" + b"g0\n" * 1000 + b"e",
        "deep_tuples": b"N" + b"\x85" * 200_000,
        "deep_lists": b"]" * 20_000 + b"a" * 19_999,
        "deep_lists_by_memo": b"]p0\n0" + b"(g0\nlp0\n0" * 20_000 + b"g0\n",
        "deep_dicts": b"N" + b"p0\n0}K\x01g0\ns" * 20_000,
        "deep_objects": b"N"
        + b"p0\n0"
        + b"0".join([new("chumpy.ch.Ch", mapping(x=b"g0\n")) + b"p0\n"] * 5000),
        "deep_key": b"}N" + b"\x85" * 100_000 + b"Ns",
        "deep_in_set": b"\x8f(N" + b"\x85" * 100_000 + b"\x90",
        "deep_frozensets": b"N" + b"p0\n0(g0\n\x91" * 5000,
        "deep_marks": b"(" * 5_000_000,
        "many_lists": b"]" * 5_000_000,
        "many_sets": b"\x8f" * 3_000_000,
        "many_copies": big + b"2" * 5_000_000,
        "many_bytes": text("a" * 1_000_000)
        + b"p0\n0"
        + b"c_codecs\nencode\np1\n0"
        + b"(g1\n(g0\ntR" * 2000,
        "many_scalars": dtype("U4096")
        + b"p0\n0"
        + text("a\0\0\0" * 4096)
        + b"p1\n0(cnumpy.core.multiarray\nscalar\np2\n"
        + b"(g0\ng1\ntRg2\n" * 20_000
        + b"l",
        "many_states": group(whole(1), group(whole(1)), dtype(), b"\x89", octets(bytes(8)))
        + b"p0\n0"
        + UNFILLED
        + b"2" * 50_000
        + b"\x94" * 200_000
        + b"g0\nb0" * 50_000,
        "long_names": (
            text("chumpy.ch") + text("a" * 1_000_000) + b"\x93p0\n0" + b"(g0\n)\x81" * 999
        ),
        "many_memos": b"N" + b"\x94" * 3_000_000,
        "memo_far": b"Nr\xf0\xff\xff\x7f",
        "memo_256M": b"Nr\0\0\0\x10",
        "memo_far_line": b"Np99999999999999999999\n",
        "memo_gaps": b"N" + b"".join(b"r" + (i * i).to_bytes(4, "little") for i in range(5000)),
        "keys_collide": b"}("
        + b"".join(b"\x8a\x10" + (period * i).to_bytes(16, "little") + b"N" for i in range(30_000))
        + b"u",
        "keys_long": b"}" + b"\x8b\0\0\x10\0" + b"\x7f" * (1 << 20) + b"Ns",
        "key_of_text": b"}X\0\0\x10\0" + b"a" * (1 << 20) + b"Ns",
        "long": b"\x8b\0\0\x10\0" + b"\x7f" * (1 << 20),
        "digits": b"I" + b"9" * 1_000_000 + b"\n",
        "digits_long": b"L" + b"9" * 1_000_000 + b"L\n",
        "text_wide": b"X\0\0\0\x02" + "\U0001f600".encode() + b"a" * ((32 << 20) - 4),
        "text_wide_line": b"V\\U0001f600" + b"a" * (32 << 20) + b"\n",
        "frame": b"\x95" + b"\xff" * 7 + b"\x7f",
        "sparse_dense": sparse(
            _shape=group(whole(40_000), whole(2000)), indptr=numbers([0] * 2001)
        ),
        "sparse_largest": sparse(
            _shape=group(whole(4000), whole(2000)),
            indptr=numbers([0] * 2001),
            data=numbers([], "i1"),
            indices=numbers([]),
        ),
        "list_of_lists": b"(" + b"K\x01" * 1100 + b"lp0\n0(" + b"g0\n" * 1100 + b"l",
    }
    return pieces


def valid_files() -> list[bytes]:
    """Good pickles of arrays and values, of every protocol, to be damaged."""
    content = {
        "v_template": np.arange(12.0).reshape(4, 3),
        "f": np.asfortranarray(np.arange(6, dtype=">u4").reshape(2, 3)),
        "text": np.array(["ab", "c"]),
        "values": [1, -2.5, None, True, b"\0\xff", "x", {"k": (1, 2)}, {3, 4}],
        "scalar": np.float32(0.5),
    }
    files = [pickle.dumps(content, protocol) for protocol in range(6)]
    usual = {field: numbers(np.eye(3), "f8") for field in SMPL_FIELDS}
    body = usual | {"J_regressor": sparse(), "shapedirs": selection(array(), numbers([0]))}
    return [*files, mapping(**body) + b"."]


def mutations(seed: int = 0) -> dict[str, bytes]:
    """Good files with bytes flipped, cut out, repeated, and with opcodes put between."""
    random_state = random.Random(seed)
    opcodes = [opcode.code.encode("latin1") for opcode in pickletools.opcodes]
    good = valid_files()
    damaged = {}
    for i in range(MUTATIONS):
        data = bytearray(good[i % len(good)])
        for _ in range(random_state.randint(1, 4)):
            at = random_state.randrange(len(data))
            length = random_state.randint(1, 12)
            kind = random_state.randrange(4)
            if kind == 0:
                data[at] ^= 1 << random_state.randrange(8)
            elif kind == 1:
                data[at : at + length] = b""
            elif kind == 2:
                data[at:at] = data[at : at + length] * random_state.randint(1, 3)
            else:
                data[at:at] = random_state.choice(opcodes)
            if not data:
                break
        damaged[f"mutation_{i}"] = bytes(data) or b"."
    return damaged


def programs(seed: int = 0) -> dict[str, bytes]:
    """Random opcodes with good arguments and whole pieces in any order."""
    random_state = random.Random(seed)
    steps = [
        opcode.code.encode("latin1") + good_argument(opcode)
        for opcode in pickletools.opcodes
        if opcode.name not in ("STOP", "PERSID", "BINPERSID", "NEXT_BUFFER", "READONLY_BUFFER")
        and not opcode.name.startswith("EXT")
    ]
    values = [
        b"N",
        b"]",
        b"}",
        b"\x8f",
        b"(",
        text("a"),
        whole(7),
        b")",
        UNFILLED,
        name("numpy.dtype"),
    ]
    values += [
        array(),
        dtype(),
        sparse(),
        numbers([1, 2]),
        name("chumpy.ch.Ch"),
        mapping(x=array()),
    ]
    return {
        f"program_{i}": b"".join(
            random_state.choice(values if random_state.random() < 0.6 else steps)
            for _ in range(random_state.randint(3, 30))
        )
        for i in range(PROGRAMS)
    }


def hostile_pickles(canary: Path) -> dict[str, bytes]:
    """All of them by name, as whole files."""
    files = mutations()
    pieces = misused_opcodes() | programs() | calls(canary) | bombs()
    for label, piece in (forged_arrays() | forged_matrices()).items():
        pieces[label] = piece
        for field in ("v_template", "kintree_table"):
            files[f"{label}_as_{field}"] = as_field(field, piece) + b"."
    return files | {label: piece + b"." for label, piece in pieces.items()}
