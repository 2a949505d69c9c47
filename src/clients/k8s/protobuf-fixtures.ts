/**
 * Bytes made by `protoc --encode` (Debian protobuf-compiler 3.21) from text, with the messages of Kubernetes' generated.proto:
 * runtime.Unknown, meta/v1 ListMeta, ObjectMeta, Status and WatchEvent, core/v1 NodeList and Node; the magic `k8s\0` and the
 * frames' lengths put in front by hand. Empty strings and zeros are there as the Go code writes them.
 */

/** Two Nodes, n2 and n3, list version 77, continue `tok`, 5 remaining. */
export const LIST_BYTES: Uint8Array = Uint8Array.fromBase64(
  'azhzAAoOCgJ2MRIITm9kZUxpc3QSyQEKDQoAEgI3NxoDdG9rIAUSqwEKawoCbjISABoAIgAqA3UtMjICNDE4AEIICIC9ossGEABa' +
    'CQoEem9uZRIBYmIzCiJmbGFubmVsLmFscGhhLmNvcmVvcy5jb20vcHVibGljLWlwEg0xOTIuMTY4LjUwLjEyYgoKBW90aGVyEgF4' +
    'EjYKDTEwLjI0NC4yLjAvMjQaACAAOg0xMC4yNDQuMi4wLzI0OhJmZDAwOjEwOjI0NDoyOjovNjQaBBoCw6kSCgoECgJuMxICCgAa' +
    'ACIA',
);

/** MODIFIED with the Node n2, then ERROR with the Status below. */
export const WATCH_BYTES: Uint8Array = Uint8Array.fromBase64(
  'AAAA0goITU9ESUZJRUQSxQEKwgFrOHMACgoKAnYxEgROb2RlEqsBCmsKAm4yEgAaACIAKgN1LTIyAjQxOABCCAiAvaLLBhAAWgkK' +
    'BHpvbmUSAWJiMwoiZmxhbm5lbC5hbHBoYS5jb3Jlb3MuY29tL3B1YmxpYy1pcBINMTkyLjE2OC41MC4xMmIKCgVvdGhlchIBeBI2' +
    'Cg0xMC4yNDQuMi4wLzI0GgAgADoNMTAuMjQ0LjIuMC8yNDoSZmQwMDoxMDoyNDQ6Mjo6LzY0GgQaAsOpGgAiAAAAAGMKBUVSUk9S' +
    'EloKWGs4cwAKDAoCdjESBlN0YXR1cxJACgIKABIHRmFpbHVyZRofdG9vIG9sZCByZXNvdXJjZSB2ZXJzaW9uOiA1ICg5KSIHRXhw' +
    'aXJlZCoECgAoAzCaAxoAIgA=',
);

/** 410, Expired, `too old resource version: 5 (9)`, retry after 3 s. */
export const STATUS_BYTES: Uint8Array<ArrayBuffer> = Uint8Array.fromBase64(
  'azhzAAoMCgJ2MRIGU3RhdHVzEkAKAgoAEgdGYWlsdXJlGh90b28gb2xkIHJlc291cmNlIHZlcnNpb246IDUgKDkpIgdFeHBpcmVk' +
    'KgQKACgDMJoDGgAiAA==',
);
