// The page renews itself: what is marked data-live is fetched again as the same page, and exchanged where it differs.
(() => {
  "use strict";
  const every = 3000;
  const lost = document.getElementById("lost");
  let running = false;

  const sameLink = (root, was) => {
    if (!was || !was.getAttribute("href")) return null;
    return [...root.querySelectorAll("a[href]")].find((one) => one.getAttribute("href") === was.getAttribute("href"));
  };

  const exchange = (next) => {
    for (const section of document.querySelectorAll("[data-live]")) {
      const fresh = next.querySelector(`[data-live="${CSS.escape(section.dataset.live)}"]`);
      if (!fresh || fresh.innerHTML === section.innerHTML) continue;
      const was = section.contains(document.activeElement) ? document.activeElement : null;
      section.replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
      const again = sameLink(section, was);
      if (again) again.focus({ preventScroll: true });
    }
  };

  const turn = async () => {
    if (running || document.hidden || !document.querySelector("[data-live]")) return;
    running = true;
    try {
      const answer = await fetch(location.href, { headers: { "X-Live": "1" }, redirect: "manual", cache: "no-store" });
      if (answer.type === "opaqueredirect") { location.reload(); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      exchange(new DOMParser().parseFromString(await answer.text(), "text/html"));
      lost.hidden = true;
    } catch {
      lost.hidden = false;
    } finally {
      running = false;
    }
  };

  document.addEventListener("visibilitychange", turn);
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-all]")) return;
    for (const box of event.target.form.querySelectorAll('input[name="case"]')) box.checked = event.target.checked;
  });
  setInterval(turn, every);
})();
