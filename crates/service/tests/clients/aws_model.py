"""Holds every reply against the model that botocore ships: types, required members, patterns, words, lengths."""

import json
import re


def check_replies(client):
    """Checks the replies of a client from here on: as they come, before botocore leaves out what it does not know."""
    service = client.meta.service_model
    errors = {shape.error_code: shape for shape in service.error_shapes}

    def check(operation_model, response_dict, **_):
        body, faults = json.loads(response_dict["body"]), []
        if response_dict["status_code"] == 200:
            if operation_model.output_shape is not None:
                walk(operation_model.output_shape, body, operation_model.name, faults)
        else:
            code = body.pop("__type")
            header = response_dict["headers"].get("x-amzn-errortype")
            if header != code:
                faults.append(f"{code} in the body, {header} in the headers")
            if code in errors:
                walk(errors[code], body, code, faults)
                if not body.get("Message"):
                    faults.append(f"{code} without a message")
            elif set(body) != {"message"}:
                faults.append(f"{code}, which is not in the model, with {set(body)}")
        # What it names is another service's, for whose names FSx has no pattern.
        faults = [fault for fault in faults if not re.match("NotServiceResourceError.ResourceARN: .* does not match", fault)]
        assert not faults, faults

    client.meta.events.register(f"before-parse.{service.service_id.hyphenize()}", check)


def walk(shape, value, path, faults):
    """Notes what is wrong with `value` in the light of its shape."""
    kinds = {
        "structure": dict,
        "map": dict,
        "list": list,
        "string": str,
        "integer": int,
        "long": int,
        "double": (int, float),
        "float": (int, float),
        "boolean": bool,
        # Seconds since 1970.
        "timestamp": (int, float),
    }
    is_flag = isinstance(value, bool)
    if not isinstance(value, kinds[shape.type_name]) or is_flag != (shape.type_name == "boolean"):
        faults.append(f"{path}: {value!r} is no {shape.type_name}")
        return
    if shape.type_name == "structure":
        faults += [f"{path}.{name} is missing" for name in shape.required_members if name not in value]
        faults += [f"{path}.{name} is not in the model" for name in value if name not in shape.members]
        for name, member in value.items():
            if name in shape.members:
                walk(shape.members[name], member, f"{path}.{name}", faults)
    elif shape.type_name == "list":
        check_length(shape, value, path, faults)
        for number, element in enumerate(value):
            walk(shape.member, element, f"{path}[{number}]", faults)
    elif shape.type_name == "map":
        for key, element in value.items():
            walk(shape.value, element, f"{path}[{key}]", faults)
    elif shape.type_name == "string":
        check_length(shape, value, path, faults)
        if shape.enum and value not in shape.enum:
            faults.append(f"{path}: {value!r} is none of {shape.enum}")
        pattern = shape.metadata.get("pattern")
        # Classes of Unicode properties are beyond this engine.
        if pattern and r"\p{" not in pattern and not re.search(pattern, value):
            faults.append(f"{path}: {value!r} does not match {pattern}")
    elif shape.type_name in ("integer", "long"):
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if (low is not None and value < low) or (high is not None and value > high):
            faults.append(f"{path}: {value} is not between {low} and {high}")


def check_length(shape, value, path, faults):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    # A listing may be empty, whatever its model says of requests.
    if high is not None and len(value) > high:
        faults.append(f"{path}: {len(value)} is longer than {high}")
    if shape.type_name == "string" and low is not None and len(value) < low:
        faults.append(f"{path}: {len(value)} is shorter than {low}")
