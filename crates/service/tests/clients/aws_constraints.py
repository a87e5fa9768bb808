"""Requests that the model which botocore ships does not allow: for each constraint of a member, one that fails it."""

import re

# Texts that samples are taken from: the first one that a member's pattern and length allow.
TEXTS = [
    *("a" * length for length in (1, 8, 12, 23)),
    *("1", "7", "05:00", "1:05:00", "10.0.0.1", "10.0.0.1@tcp", "/a", "us-east-1", "us-east-1a", "hsm2m.medium"),
    *(f"{kind}-0123456789abcdef0" for kind in ("fs", "backup", "subnet", "sg", "eni", "rtb", "fsvol", "svm")),
    *(f"{kind}-aaaaaaaaaaa" for kind in ("backup", "cluster", "hsm")),
    *("d-0123456789", "s3://bucket/path", "arn:aws:secretsmanager:us-east-1:123456789012:secret:name-aaaaaa"),
    "arn:aws:fsx:us-east-1:123456789012:backup/backup-0123456789abcdef0",
    "arn:aws:cloudhsm:us-east-1:123456789012:backup/backup-aaaaaaaaaaa",
]
# The most that an integer can be on the wire: more is no integer, whatever its bounds.
INTEGER_MAX = 2**31 - 1


def fits(shape, text):
    """Whether a text is what its shape's pattern says, from its first to its last character."""
    pattern = shape.metadata.get("pattern", "(?s).*")
    for category, members in [(r"\p{L}", "a-zA-Z"), (r"\p{Z}", " "), (r"\p{N}", "0-9")]:
        pattern = pattern.replace(category, members)
    return re.fullmatch(pattern, text) is not None


def bounds(shape):
    return shape.metadata.get("min", 0), shape.metadata.get("max", INTEGER_MAX)


def sample(shape):
    """A value that the shape allows."""
    low, high = bounds(shape)
    if shape.type_name == "structure":
        return {name: sample(shape.members[name]) for name in shape.required_members}
    if shape.type_name == "list":
        return [sample(shape.member)] * max(low, 1)
    if shape.type_name == "map":
        return {}
    if shape.type_name == "boolean":
        return True
    if shape.type_name in ("integer", "long"):
        return max(low, 1)
    texts = shape.enum or [text for text in TEXTS if low <= len(text) <= high and fits(shape, text)]
    assert texts, f"nothing is a {shape.name}: {shape.metadata}"
    return texts[0]


def violations(shape):
    """Each way to fail one constraint: where, and in the services' words which, and the value."""
    low, high = bounds(shape)
    if shape.type_name == "structure":
        required = sample(shape)
        for name in required:
            yield f".{name} must not be null", {other: value for other, value in required.items() if other != name}
        for name, member in shape.members.items():
            for what, value in violations(member):
                yield f".{name}{what}", {**required, name: value}
    elif shape.type_name == "list":
        if low:
            yield " must have length greater than or equal to", sample(shape)[: low - 1]
        if high < INTEGER_MAX:
            yield " must have length less than or equal to", [sample(shape.member)] * (high + 1)
        for what, value in violations(shape.member):
            yield f"[]{what}", [value] * max(low, 1)
    elif shape.type_name == "map":
        for what, key in violations(shape.key):
            yield f"{{}} name{what}", {key: sample(shape.value)}
        for what, value in violations(shape.value):
            yield f"{{}}{what}", {sample(shape.key): value}
    elif shape.type_name == "string":
        if low:
            yield " must have length greater than or equal to", sample(shape)[: low - 1]
        if high < INTEGER_MAX:
            yield " must have length less than or equal to", "a" * (high + 1)
        if shape.enum:
            yield " must satisfy enum value set", "nonsense"
        for text in (character * max(low, 1) for character in "!\n\0"):
            if not fits(shape, text):
                yield " must satisfy regular expression pattern", text
                break
    elif shape.type_name in ("integer", "long"):
        if "min" in shape.metadata:
            yield " must have value greater than or equal to", low - 1
        if high < INTEGER_MAX:
            yield " must have value less than or equal to", high + 1
