// Loads what no visit needed yet, so that every task works without a network after the first visit.

/**
 * Fetch the files that are not kept yet, one by one while the browser is idle. The service worker keeps them.
 *
 * @param {string[]} addresses
 * @returns {Promise<boolean>} Whether all files are kept.
 */
export async function keep(addresses) {
  for (const address of addresses) {
    await idle();
    if (await caches.match(address)) continue;
    try {
      await fetch(address, { priority: "low" });
    } catch {
      return false; // no network, so the others would fail too
    }
  }
  const kept = await Promise.all(addresses.map((address) => caches.match(address)));
  return kept.every(Boolean);
}

/** Return the addresses of this host among some, each once and as the service worker names them. */
export function ownAddresses(addresses, origin) {
  const own = addresses.filter((address) => new URL(address).origin === origin && !address.startsWith("blob:"));
  return [...new Set(own.map((address) => address.split("#")[0].split("?")[0].replace(/\/index\.html$/, "/")))];
}

function idle() {
  return new Promise((resolve) => (globalThis.requestIdleCallback ?? setTimeout)(resolve));
}
