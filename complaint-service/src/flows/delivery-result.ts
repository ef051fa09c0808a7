/** What became of a delivery, for the metrics. */
export type DeliveryResult = 'delivered' | 'retried' | 'given_up';
