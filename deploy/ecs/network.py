"""Find the network that the service runs in by default: the default VPC."""

from __future__ import annotations

from deploy.aws import Aws
from deploy.errors import DeployError


def default_network(aws: Aws) -> dict[str, str]:
    """Return the parameters Vpc and Subnets: the default VPC, and its subnet in each availability zone.

    Raises DeployError if there is no default VPC, or if a load balancer can't run in it.
    """
    if not aws.has_account:
        return {"Vpc": "DEFAULT_VPC", "Subnets": "DEFAULT_SUBNETS"}
    vpcs = aws.read("ec2", "describe-vpcs", "--filters", "Name=is-default,Values=true")["Vpcs"]
    if not vpcs:
        raise DeployError(
            f"there is no default VPC in {aws.region}; give --vpc and --subnets, or create one with "
            f"`{aws.command_line('ec2', 'create-default-vpc')}`"
        )
    vpc = vpcs[0]["VpcId"]
    filters = (f"Name=vpc-id,Values={vpc}", "Name=default-for-az,Values=true")
    subnets = aws.read("ec2", "describe-subnets", "--filters", *filters)["Subnets"]
    if len(subnets) < 2:
        raise DeployError(f"{vpc} has fewer than the two subnets that a load balancer needs; give --vpc and --subnets")
    return {"Vpc": vpc, "Subnets": ",".join(sorted(subnet["SubnetId"] for subnet in subnets))}
