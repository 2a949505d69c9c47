import { h as create, type ComponentChildren, type ComponentType, type VNode } from 'preact';

/** Attributes and listeners of an element; `undefined` and `false` leave one out. */
export type Attributes = Readonly<Record<string, unknown>> | null;

/** An element, or a component with its properties. */
export function h<P>(
  type: string | ComponentType<P>,
  props: (P & { readonly key?: string }) | Attributes,
  ...children: ComponentChildren[]
): VNode {
  return create(type as string, props, ...children);
}
