/** Builders of single requests: pure, for `Rtnetlink.apply`. */
export { addAddress, deleteAddress } from './address.ts';
export { addFdb, deleteFdb } from './fdb.ts';
export { deleteLink, newLink, setBridgePort, setLink } from './link.ts';
export { addPortVlans, deletePortVlans } from './link/bridge-vlan.ts';
export { addNeighbour, deleteNeighbour } from './neighbour.ts';
export { addRoute, deleteRoute } from './route/request.ts';
