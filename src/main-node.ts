// What Node executes: the program, with the part of Bun that it uses made of Node's own modules.
// The order counts: the program finds a global Bun when it begins.
import '#node/bun.ts';
import './main.ts';
