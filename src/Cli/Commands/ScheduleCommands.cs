using System.CommandLine;
using Dbt.Cli.Api;
using Dbt.Cli.Control;
using static Dbt.Cli.Commands.GuestCall;

namespace Dbt.Cli.Commands;

/// <summary>Commands on guests' shares of the host's processors, in xl's grammar. Both names are of the one scheduler that there is.</summary>
internal static class ScheduleCommands
{
    private const string Pool = "Pool-0";

    /// <summary>Makes them.</summary>
    public static IEnumerable<Command> Create() =>
    [
        Create("sched-credit", "Show or change a guest's weight and cap.", "tslice=30ms ratelimit=1000us migration-delay=0us"),
        Create("sched-credit2", "The same as sched-credit.", "ratelimit=1000us"),
    ];

    private static Command Create(string name, string description, string parameters)
    {
        var domain = new Option<string?>("-d", "--domain") { Description = "The guest's name or id; all without." };
        var weight = new Option<uint?>("-w", "--weight") { Description = "What each of its processors gets where more are busy than the host has, in proportion to others': 1 to 65535, 256 where nobody said." };
        var cap = new Option<uint?>("-c", "--cap") { Description = "What it gets at the most, in per cent of one of the host's processors: to 100 for each of its own; 0 for no limit." };
        var pool = new Option<string?>("-p", "--cpupool") { Description = $"The pool whose guests are shown: {Pool}, which has all." };
        var schedule = new Option<bool>("-s", "--schedparam") { Description = "Show the scheduler's own parameters, which can't be changed." };
        var command = new Command(name, description) { domain, weight, cap, pool, schedule };
        command.SetAction(async (result, _) =>
        {
            string? guest = result.GetValue(domain);
            uint? newWeight = result.GetValue(weight), newCap = result.GetValue(cap);
            if (guest is null && (newWeight is not null || newCap is not null))
            {
                throw new ControlException(ControlError.Invalid, "Must specify a domain.");
            }

            if (result.GetValue(pool) is string other && other is not (Pool or "0"))
            {
                throw new ControlException(ControlError.Invalid, $"there is no cpupool '{other}'; all guests are in {Pool}");
            }

            if (newWeight is not null || newCap is not null)
            {
                return await RunAsync(guest!, (client, id, deadline) => client.SetCpuShareAsync(Request(id, newWeight, newCap), deadline: deadline)).ConfigureAwait(false);
            }

            if (guest is null)
            {
                Console.Out.WriteLine($"Cpupool {Pool}: {parameters}");
            }

            if (!result.GetValue(schedule))
            {
                Console.Out.WriteLine(DomainListing.ShareHeader);
                foreach (ControlClient client in await NamedOrAllAsync(guest is null ? [] : [guest]).ConfigureAwait(false))
                {
                    Console.Out.WriteLine(DomainListing.ShareRow(client.Domain));
                }
            }

            return ExitStatus.Success;
        });
        return command;
    }

    private static CpuShareRequest Request(string domain, uint? weight, uint? cap)
    {
        var request = new CpuShareRequest { Domain = domain };
        if (weight is uint newWeight)
        {
            request.Weight = newWeight;
        }

        if (cap is uint newCap)
        {
            request.Cap = newCap;
        }

        return request;
    }
}
