using System.CommandLine;
using Dbt.Cli.Config;
using Dbt.Cli.Guests;
using Dbt.Cli.Packages;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt guest</c>: guests that are made on this machine from others' packages.</summary>
internal static class GuestCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create() => new("guest", "Guests made from Debian's packages; dbt run NAME runs one.")
    {
        List(), Fetch(), Show(), Reset(), Remove(),
    };

    private static Command List()
    {
        var command = new Command("list", "Show the guests that are known: columns between tabs where standard output is no terminal.");
        command.SetAction(_ =>
        {
            GuestListing.Write(GuestStore.Default, Console.Out, forPeople: !Console.IsOutputRedirected);
            return ExitStatus.Success;
        });
        return command;
    }

    private static Command Show()
    {
        Argument<string> name = Name();
        var command = new Command("show", "Show what a guest consists of and how dbt run runs it.") { name };
        command.SetAction(result =>
        {
            GuestListing.WriteOne(GuestStore.Default, Checked(result.GetValue(name)!), Console.Out);
            return ExitStatus.Success;
        });
        return command;
    }

    private static Command Fetch()
    {
        Argument<string> name = Name();
        var packages = new Option<string[]>("--packages")
        {
            Description = "Debian packages to unpack into it, all that they depend on too: --packages python3-minimal,perl-base",
            HelpName = "A,B,...",
            AllowMultipleArgumentsPerToken = true,
        };
        var size = new Option<int?>("--size") { Description = "Size of its root file system in MiB; without it 1024, or more if need be.", HelpName = "MIB" };
        var force = new Option<bool>("--force") { Description = "Make it anew although it is there." };
        var command = new Command("fetch", "Make a guest from packages of this machine's package sources, in the cache folder.") { name, packages, size, force };
        command.SetAction(result =>
        {
            string guest = Checked(result.GetValue(name)!);
            var request = new GuestRequest(ParsePackages(result.GetValue(packages) ?? []), CheckedSize(result.GetValue(size)));
            return Cancellable.Run(cancellation => FetchOne(guest, request, result.GetValue(force), cancellation));
        });
        return command;
    }

    private static int FetchOne(string guest, GuestRequest request, bool force, CancellationToken cancellation)
    {
        GuestStore store = GuestStore.Default;
        GuestManifest? old = store.Fetched(guest);
        bool same = old is not null && (request.Packages.Count == 0 || KnownGuests.OwnPackages(guest).Union(request.Packages).ToHashSet().SetEquals(old.Requested)) && (request.SizeMiB ?? old.SizeMiB) == old.SizeMiB;
        if (same && !force)
        {
            Console.Error.WriteLine($"dbt: guest {guest} is there already (kernel {old!.Kernel}, {store.FetchedFolder(guest)}); --force makes it anew");
            return ExitStatus.Success;
        }

        KnownGuests.Fetch(guest, store, request, cancellation);
        Console.Error.WriteLine($"dbt: guest {guest} is ready: dbt run {guest}");
        if (store.Installed(guest) is not null)
        {
            Console.Error.WriteLine($"dbt: its disk from before stays in use, with its kernel; dbt guest reset {guest} starts from the new one");
        }

        return ExitStatus.Success;
    }

    private static Command Reset()
    {
        Argument<string> name = Name();
        var command = new Command("reset", "Throw away what a guest has written to its disk: it starts anew as it was fetched.") { name };
        command.SetAction(result =>
        {
            string guest = Checked(result.GetValue(name)!);
            GuestStore store = GuestStore.Default;
            if (store.Fetched(guest) is null)
            {
                throw new ConfigException($"guest {guest} isn't in the cache; first: dbt guest fetch {guest}");
            }

            store.Open(guest, anew: true).Dispose();
            Console.Error.WriteLine($"dbt: guest {guest} has a new disk, {Path.Combine(store.RunFolder(guest), GuestStore.Disk)}");
            return ExitStatus.Success;
        });
        return command;
    }

    private static Command Remove()
    {
        Argument<string> name = Name();
        var disk = new Option<bool>("--disk") { Description = "Also the disk that it has written to." };
        var command = new Command("remove", "Delete a guest from the cache, with the packages that were downloaded for it.") { name, disk };
        command.SetAction(result =>
        {
            string guest = Checked(result.GetValue(name)!);
            GuestStore store = GuestStore.Default;
            bool removed = result.GetValue(disk) && store.RemoveInstalled(guest);
            removed |= store.RemoveFetched(guest);
            if (store.Installed(guest) is not null)
            {
                Console.Error.WriteLine($"dbt: its disk stays, with its kernel, in {store.RunFolder(guest)}; dbt guest remove {guest} --disk deletes that too");
            }
            else if (!removed)
            {
                Console.Error.WriteLine($"dbt: guest {guest} wasn't there");
            }

            return ExitStatus.Success;
        });
        return command;
    }

    private static Argument<string> Name() => new("NAME") { Description = $"The guest: {string.Join(", ", KnownGuests.Names)}." };

    private static string Checked(string name) => KnownGuests.Names.Contains(name)
        ? name
        : throw new ConfigException($"there is no guest '{name}'; known are: {string.Join(", ", KnownGuests.Names)}");

    private static int? CheckedSize(int? size) => size is null or (>= GuestRequest.LeastMiB and <= GuestRequest.MostMiB)
        ? size
        : throw new ConfigException($"--size: {size} is outside {GuestRequest.LeastMiB} to {GuestRequest.MostMiB} MiB");

    private static string[] ParsePackages(string[] words)
    {
        string[] names = [.. words.SelectMany(word => word.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)).Distinct()];
        return Array.Find(names, name => !AptSource.IsPackageName(name)) is string wrong
            ? throw new ConfigException($"--packages: '{wrong}' is not a package's name")
            : names;
    }
}
