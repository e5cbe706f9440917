"use strict";

// Within Telegram the page is told who opened it, behind the #; the server checks the signature.
const proof = new URLSearchParams(location.hash.slice(1)).get("tgWebAppData");
const field = document.getElementById("init_data");
if (proof !== null && field !== null) {
  field.value = proof;
}

for (const button of document.querySelectorAll("[data-shows]")) {
  const input = document.getElementById(button.dataset.shows);
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.textContent = shown ? "Hide" : "Show";
    button.setAttribute("aria-pressed", String(shown));
    input.focus();
  });
}

const form = document.getElementById("form");
if (form !== null) {
  const send = document.getElementById("send");
  // Who comes back by the browser's own button finds the form ready, and empty.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) {
      form.reset();
      send.disabled = false;
      send.textContent = "Connect";
    }
  });
  form.addEventListener("submit", () => {
    for (const input of form.querySelectorAll("input[type=text]")) {
      input.type = "password";
    }
    send.disabled = true;
    send.textContent = "Trying the key…";
  });
}
