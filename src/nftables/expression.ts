import type { ByteWriter } from '#base/bytes.ts';
import {
  attributeTable,
  raw,
  text,
  writeAttribute,
  writeNested,
  type Codec,
  type Position,
} from '#netlink/attribute.ts';
import * as action from './action.ts';
import * as match from './match.ts';

/** An expression without a typed form here: kept as it came, so that it can be shown, compared and written again. */
export interface OtherExpression {
  readonly kind: 'other';
  /** The kernel's name for it, e.g. `lookup`. */
  readonly name: string;
  /** The attributes of NFTA_EXPR_DATA. */
  readonly data: Uint8Array;
}

/** One step of a rule, in the kernel's own terms (`nft --debug=netlink` prints them). */
export type Expression =
  | match.Meta
  | match.Payload
  | match.Bitwise
  | match.Compare
  | match.Fib
  | match.Ct
  | action.Verdict
  | action.Immediate
  | action.Masquerade
  | action.Nat
  | action.Counter
  | OtherExpression;

/** `enum nft_expr_attributes`. */
const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const expressionTable = attributeTable('expression', {
  name: [NFTA_EXPR_NAME, text],
  data: [NFTA_EXPR_DATA, raw],
});

/** One element of NFTA_RULE_EXPRESSIONS. */
export const expressionCodec: Codec<Expression> = {
  nested: true,
  write(out, expression) {
    writeAttribute(out, NFTA_EXPR_NAME, () => text.write(out, kernelName(expression)));
    writeNested(out, NFTA_EXPR_DATA, () => writeData(out, expression));
  },
  read(bytes, at) {
    const { name = '', data = new Uint8Array(0) } = expressionTable.read(bytes, at);
    const typed = readData(name, data, { path: `${at.path}.${name}`, offset: at.offset });
    return typed ?? { kind: 'other', name, data };
  },
};

/** A verdict is an immediate value for register 0. */
function kernelName(expression: Expression): string {
  if (expression.kind === 'other') return expression.name;
  return expression.kind === 'verdict' ? 'immediate' : expression.kind;
}

function writeData(out: ByteWriter, expression: Expression): void {
  switch (expression.kind) {
    case 'meta':
      return match.meta.write(out, expression);
    case 'payload':
      return match.payload.write(out, expression);
    case 'bitwise':
      return match.bitwise.write(out, expression);
    case 'cmp':
      return match.cmp.write(out, expression);
    case 'fib':
      return match.fib.write(out, expression);
    case 'ct':
      return match.ct.write(out, expression);
    case 'verdict':
    case 'immediate':
      return action.immediate.write(out, expression);
    case 'masq':
      return action.masq.write(out, expression);
    case 'nat':
      return action.nat.write(out, expression);
    case 'counter':
      return action.counter.write(out, expression);
    case 'other':
      out.bytes(expression.data);
  }
}

function readData(name: string, data: Uint8Array, at: Position): Expression | undefined {
  switch (name) {
    case 'meta':
      return match.meta.read(data, at);
    case 'payload':
      return match.payload.read(data, at);
    case 'bitwise':
      return match.bitwise.read(data, at);
    case 'cmp':
      return match.cmp.read(data, at);
    case 'fib':
      return match.fib.read(data, at);
    case 'ct':
      return match.ct.read(data, at);
    case 'immediate':
      return action.immediate.read(data, at);
    case 'masq':
      return action.masq.read(data, at);
    case 'nat':
      return action.nat.read(data, at);
    case 'counter':
      return action.counter.read(data, at);
    default:
      return undefined;
  }
}
