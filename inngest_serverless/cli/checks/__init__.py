"""What ``inngest-serverless doctor`` looks at: the settings, an app on this machine, an app that is deployed."""
