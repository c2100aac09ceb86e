async function buy(total) {
  const request = new PaymentRequest([{ supportedMethods: 'https://pay.example' }], { total })
  if (!(await request.canMakePayment())) return location.assign('/checkout')
  const response = await request.show()
  await response.complete('success')
}
export { buy }
