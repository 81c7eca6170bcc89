using System.CommandLine;
using Dbt.Cli.Api;
using Dbt.Cli.Config;
using Dbt.Cli.Control;
using Dbt.Devices;
using static Dbt.Cli.Commands.GuestCall;

namespace Dbt.Cli.Commands;

/// <summary>Commands on a running guest's disks and network cards, in xl's grammar.</summary>
internal static class DeviceCommands
{
    /// <summary>Makes them.</summary>
    public static IEnumerable<Command> Create() =>
    [
        BlockAttach(),
        Detach("block-detach", "Take a disk from a guest, when the guest has closed it.", "the disk's name or number, such as xvdb",
            (client, request, deadline) => client.DetachDiskAsync(request, deadline: deadline)),
        List("block-list", "List a guest's disks.", DomainListing.DiskHeader, async client =>
            (await client.CallAsync((call, id, deadline) => call.ListDisksAsync(new DomainRequest { Domain = id }, deadline: deadline)).ConfigureAwait(false))
                .Disks.Select(DomainListing.Row)),
        NetworkAttach(),
        Detach("network-detach", "Take a network card from a guest, when the guest has closed it.", "the card's number or address",
            (client, request, deadline) => client.DetachNetworkAsync(request, deadline: deadline)),
        List("network-list", "List a guest's network cards.", DomainListing.NetworkHeader, async client =>
            (await client.CallAsync((call, id, deadline) => call.ListNetworksAsync(new DomainRequest { Domain = id }, deadline: deadline)).ConfigureAwait(false))
                .Networks.Select(DomainListing.Row)),
    ];

    private static Command BlockAttach()
    {
        Argument<string> domain = DomainArgument();
        var words = new Argument<string[]>("DISK") { Arity = ArgumentArity.OneOrMore, Description = "As in a configuration's disk=: PATH,raw,xvdb,rw; several words are parts of one disk." };
        var command = new Command("block-attach", "Give a running guest a disk.") { domain, words };
        command.SetAction((result, _) =>
        {
            string text = string.Join(',', result.GetValue(words)!);
            DiskConfiguration disk = DiskSpecification.Parse(new ConfigString(new ConfigPosition("command line", 1, 1), text));
            var request = new AttachDiskRequest
            {
                Path = disk.Backend is null ? Path.GetFullPath(disk.Path) : disk.Path,
                Backend = disk.Backend ?? "",
                Device = disk.Device.Name,
                ReadOnly = disk.ReadOnly,
                Cdrom = disk.Type == DiskType.Cdrom,
            };
            return RunAsync(result.GetValue(domain)!, (client, id, deadline) =>
            {
                request.Domain = id;
                return client.AttachDiskAsync(request, deadline: deadline);
            });
        });
        return command;
    }

    private static Command NetworkAttach()
    {
        Argument<string> domain = DomainArgument();
        var words = new Argument<string[]>("VIF") { Arity = ArgumentArity.ZeroOrMore, Description = "As in a configuration's vif=: bridge=user, mac=... ; none for the defaults." };
        var command = new Command("network-attach", "Give a running guest a network card.") { domain, words };
        command.SetAction((result, _) => RunAsync(result.GetValue(domain)!, (client, id, deadline) =>
            client.AttachNetworkAsync(new AttachNetworkRequest { Domain = id, Card = string.Join(',', result.GetValue(words) ?? []) }, deadline: deadline)));
        return command;
    }

    private static Command Detach(string name, string description, string what,
        Func<Domains.DomainsClient, DetachDeviceRequest, DateTime, Grpc.Core.AsyncUnaryCall<Done>> call)
    {
        Argument<string> domain = DomainArgument();
        var device = new Argument<string>("DEVICE") { Description = $"Which: {what}." };
        var force = new Option<bool>("--force") { Description = "Take it after ten seconds whatever the guest says; it may lose what it did not write yet." };
        var command = new Command(name, description) { domain, device, force };
        command.SetAction((result, _) => RunAsync(result.GetValue(domain)!, (client, id, deadline) =>
            call(client, new DetachDeviceRequest { Domain = id, Device = result.GetValue(device)!, Force = result.GetValue(force) }, deadline)));
        return command;
    }

    private static Command List(string name, string description, string header, Func<ControlClient, Task<IEnumerable<string>>> rows)
    {
        var domains = new Argument<string[]>("DOMAIN") { Arity = ArgumentArity.OneOrMore, Description = "Names or ids." };
        var command = new Command(name, description) { domains };
        command.SetAction(async (result, _) =>
        {
            IReadOnlyList<ControlClient> clients = await NamedOrAllAsync(result.GetValue(domains)!).ConfigureAwait(false);
            Console.Out.WriteLine(header);
            foreach (ControlClient client in clients)
            {
                foreach (string row in await rows(client).ConfigureAwait(false))
                {
                    Console.Out.WriteLine(row);
                }
            }

            return ExitStatus.Success;
        });
        return command;
    }
}
