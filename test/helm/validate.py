# Standard input: {"schema": {...}, "cases": {name: values}}. Standard output: {name: [where and what is wrong, ...]}.
# Ends with an exception when the schema itself is none.
import json
import sys

from jsonschema import Draft7Validator

asked = json.load(sys.stdin)
Draft7Validator.check_schema(asked["schema"])
validator = Draft7Validator(asked["schema"])


def errors(values):
    found = [(".".join(map(str, error.absolute_path)), error.message) for error in validator.iter_errors(values)]
    return [f"{path}: {message}" for path, message in sorted(found)]


json.dump({name: errors(values) for name, values in asked["cases"].items()}, sys.stdout)
