// Sends requests to two hosts, one of which is dead: node example.js DEAD:PORT,ALIVE:PORT [https]
import { Context } from './droplet.js'

// Returns the body of a reply when all of it has come.
function bodyOf (reply) {
  const head = /^[^]*?\r\nContent-Length: (\d+)[^]*?\r\n\r\n/i.exec(reply)
  if (!head || reply.length < head[0].length + Number(head[1])) return null
  return reply.slice(head[0].length)
}

function get (context) {
  const connection = context.connect()
  try {
    connection.write('GET / HTTP/1.1\r\nHost: example\r\n\r\n')
    let reply = ''
    while (bodyOf(reply) === null) {
      const some = connection.read()
      if (some.length === 0) throw new Error('half a reply')
      reply += some.toString('latin1')
    }
    connection.replyComplete()
    const { peer, reused } = connection.info()
    console.log(`${bodyOf(reply).trim()} from ${peer}, reused ${reused} times`)
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
