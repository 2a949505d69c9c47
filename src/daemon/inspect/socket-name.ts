/** The name of the agent's socket beside the subnet file. */
export const SOCKET_NAME = 'agent.sock';
