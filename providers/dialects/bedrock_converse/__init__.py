"""AWS Bedrock's Converse and ConverseStream, as an upstream. Pure.

The model stands in the address, `/model/{id}/converse` or `/converse-stream`, and not in the body; nor does the body
say whether the answer is to be a stream, which is one of AWS event-stream frames.
"""
