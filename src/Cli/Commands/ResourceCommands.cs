using System.CommandLine;
using System.Globalization;
using Dbt.Cli.Api;
using Dbt.Cli.Control;
using static Dbt.Cli.Commands.GuestCall;

namespace Dbt.Cli.Commands;

/// <summary>Commands that change a running guest's memory and processors, in xl's grammar.</summary>
internal static class ResourceCommands
{
    /// <summary>Makes them.</summary>
    public static IEnumerable<Command> Create() =>
    [
        Memory("mem-set", "Tell a guest how much memory to have; its balloon driver follows.",
            (client, request, deadline) => client.SetMemoryTargetAsync(request, deadline: deadline)),
        Memory("mem-max", "Change how much memory a guest may be told to have.",
            (client, request, deadline) => client.SetMaximumMemoryAsync(request, deadline: deadline)),
        Vcpus(),
    ];

    /// <summary>Reads a size: a number, MiB where it has no suffix of b, k, m, g or t.</summary>
    /// <returns>KiB; null for anything else.</returns>
    public static ulong? ParseKib(string text)
    {
        int shift = char.ToLowerInvariant(text.Length == 0 ? '\0' : text[^1]) switch
        {
            'b' => -10,
            'k' => 0,
            'm' => 10,
            'g' => 20,
            't' => 30,
            _ => 10,
        };
        string digits = text.TrimEnd("bBkKmMgGtT".ToCharArray());
        if (text.Length - digits.Length > 1 || !ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) || number >= 1UL << 33)
        {
            return null;
        }

        return shift < 0 ? number >> -shift : number << shift;
    }

    private static Command Memory(string name, string description,
        Func<Domains.DomainsClient, MemoryRequest, DateTime, Grpc.Core.AsyncUnaryCall<Done>> call)
    {
        Argument<string> domain = DomainArgument();
        var size = new Argument<string>("MEM") { Description = "MiB, or with a suffix: b, k, m, g, t." };
        var command = new Command(name, description) { domain, size };
        command.SetAction((result, _) =>
        {
            string text = result.GetValue(size)!;
            ulong kib = ParseKib(text) ?? throw new ControlException(ControlError.Invalid, $"'{text}' is not a size: a number of MiB, or one with a suffix of b, k, m, g or t");
            return RunAsync(result.GetValue(domain)!, (client, id, deadline) => call(client, new MemoryRequest { Domain = id, Kib = kib }, deadline));
        });
        return command;
    }

    private static Command Vcpus()
    {
        Argument<string> domain = DomainArgument();
        var count = new Argument<uint>("VCPUS") { Description = "From 1 to the maxvcpus of its configuration." };
        var command = new Command("vcpu-set", "Tell a guest how many processors to have online.") { domain, count };
        command.SetAction((result, _) => RunAsync(result.GetValue(domain)!,
            (client, id, deadline) => client.SetVcpusAsync(new VcpusRequest { Domain = id, Count = result.GetValue(count) }, deadline: deadline)));
        return command;
    }
}
