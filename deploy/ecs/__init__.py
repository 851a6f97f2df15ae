"""Run the service on AWS ECS Fargate: `python -m deploy.ecs`."""
