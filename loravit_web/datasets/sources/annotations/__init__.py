"""Labels in JSON: COCO, Label Studio, and lists or lines of objects, such as ``metadata.jsonl``."""
