// node web-socket.mjs SOCKET CONTAINER: attaches through a WebSocket, sends what stdin gives, prints what comes. `text` before API 1.28.
import WebSocket from 'ws';

const [socket, container, version = 'v1.51'] = process.argv.slice(2);
const peer = new WebSocket(`ws+unix://${socket}:/${version}/containers/${container}/attach/ws?stream=1&stdin=1&stdout=1&stderr=1&logs=1`);
peer.on('message', (data, binary) => console.log(`${binary ? 'binary' : 'text'} ${JSON.stringify(data.toString())}`));
peer.on('close', (code) => console.log(`close ${code}`));
peer.on('error', (error) => console.log(`error ${error.message}`));
peer.on('pong', (data) => console.log(`pong ${data}`));
peer.on('open', () => {
  console.log('open');
  process.stdin.on('data', (data) => {
    const text = data.toString();
    if (text === 'PING\n') peer.ping('x');
    else if (text === 'CLOSE\n') peer.close();
    else peer.send(text);
  });
});
