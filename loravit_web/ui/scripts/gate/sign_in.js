// Sign in without leaving the page, so that errors appear below the form.
(() => {
  const form = document.querySelector("#sign-in");
  const button = form.querySelector("button"), problem = form.querySelector("#problem");

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    problem.textContent = "";
    try {
      const response = await fetch("login", {method: "POST", body: new URLSearchParams(new FormData(form))});
      if (response.ok) return window.location.reload();
      problem.textContent = (await response.json()).detail;
    } catch {
      problem.textContent = form.dataset.unreached;
    }
    button.disabled = false;
  });
})();
