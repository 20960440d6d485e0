// Places an order, exactly once for its key, and waits for its end: order.mjs REQUESTS EVENTS KEY JSON
import { Client, News } from './client.mjs'

const [requests, events, key, body] = process.argv.slice(2)
const [bus, news] = [new Client(requests, 'order example'), new News(events, 'order.')]
let order = await bus.call('order', 'place', ['PlaceOrder', { key, body, by: 'an example' }], 'OrderState')
console.log('accepted', order.key) // from now on it is on disk; placed again under this key it is the same order
const underWay = ['ORDER_STATUS_ACCEPTED', 'ORDER_STATUS_SENDING', 'ORDER_STATUS_UNKNOWN']
while (underWay.includes(order.status)) {
  await news.next(1000)
  order = await bus.call('order', 'show', ['OrderKey', { key }], 'OrderState')
}
console.log(order.status.replace('ORDER_STATUS_', '').toLowerCase(), order.erp_id || order.why)
bus.close()
news.close()
