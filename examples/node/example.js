// Sends requests to two hosts, one of which is dead: node example.js DEAD:PORT,ALIVE:PORT [https]
import { Context } from './droplet.js'

function get (context) {
  const connection = context.connect()
  try {
    connection.write('GET / HTTP/1.1\r\nHost: example\r\n\r\n')
    let body = ''
    for (let some; (some = connection.readReply()).length > 0;) body += some.toString('latin1')
    const { peer, reused } = connection.info()
    console.log(`${body.trim()} from ${peer}, reused ${reused} times`)
  } finally {
    connection.release()
  }
}

const [hosts, https] = [process.argv[2], process.argv.length > 3]
const context = new Context(`use_https = ${https}\nhost = ${hosts}`)
get(context)
get(context)
const now = context.statistics()
console.log(`created ${now.created}, reused ${now.reused}, idle ${now.idle}`)
context.free()

const dead = new Context(`use_https = ${https}\nhost = ${hosts.split(',')[0]}`)
try {
  get(dead)
} catch (error) {
  console.log(`error: ${error.message}`)
}
dead.free()
