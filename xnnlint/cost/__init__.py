"""How long XNNPACK's operators take: predicted from a plan, by rates that were measured on some CPU."""
