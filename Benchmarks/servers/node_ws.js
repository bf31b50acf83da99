// The node peer: the `ws` package as Debian ships it, groups in a Map, one send per member, as its manual shows.
//
//     node node_ws.js PORT
'use strict';
const { WebSocketServer } = require('ws');

const groups = new Map();
const membersOf = (name) => {
  if (!groups.has(name)) groups.set(name, new Set());
  return groups.get(name);
};

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 4096 });
server.on('connection', (socket, request) => {
  const [, , kind, name] = request.url.split('/');
  const members = membersOf(name);
  socket.on('error', () => socket.terminate());
  if (kind === 'publish') {
    socket.on('message', (data) => {
      for (const member of members) member.send(data, { binary: false });
    });
  } else {
    members.add(socket);
    socket.on('close', () => members.delete(socket));
  }
});
