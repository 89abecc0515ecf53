// Keeps the page for use without a network, and sends the headers that allow several threads.

// Caches belong to a whole origin, where other exports may lie beside this one.
const SCOPE = `loravit ${self.registration.scope} `;
const CACHE = `${SCOPE}{{version}}`;

self.addEventListener("install", (event) => {
  event.waitUntil(self.skipWaiting());
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys())
        if (name.startsWith(SCOPE) && name !== CACHE) await caches.delete(name);
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && new URL(request.url).origin === location.origin) event.respondWith(answer(request));
});

async function answer(request) {
  const cache = await caches.open(CACHE);
  // The folder and its index.html are the same page.
  const key = request.url.split("#")[0].split("?")[0].replace(/\/index\.html$/, "/");
  const kept = await cache.match(key);
  if (kept) return isolated(kept);
  const response = await fetch(request);
  if (response.ok && response.status === 200)
    await cache.put(key, response.clone()).catch((error) => console.warn(`${key} is not kept: ${error}`)); // disk full
  return isolated(response);
}

function isolated(response) {
  if (response.type === "opaque" || response.status === 0 || response.redirected) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
