using Dbt.Cli.Guests;

namespace Dbt.Cli.Bench;

/// <summary>
/// The benchmark from start to end. Each machine boots once; in a round every workload runs on one machine after the other, so that whatever
/// else the host does meanwhile is shared out, and ratios hold. A machine that fails is started anew for its next workload.
/// </summary>
internal sealed class BenchRun(BenchSettings settings, GuestStore store, IBenchProgress progress, CancellationToken cancellation)
{
    private static readonly TimeSpan BootLimit = TimeSpan.FromMinutes(10);

    /// <summary>Runs it.</summary>
    /// <exception cref="BenchException">A machine does not boot, or nothing is there to compare with.</exception>
    public BenchResult Run()
    {
        BenchGuest.Ensure(store, cancellation);
        string guestTree = BenchGuest.TreeFolder(store);
        using var folder = new BenchFolder(settings.Workloads, settings.Scale);
        string ramdisk = folder.MakeRamdisk(guestTree), kernel = Path.Combine(store.FetchedFolder(BenchGuest.Name), GuestStore.Kernel);

        string? whyNot = null;
        var commands = new List<MachineCommand>();
        if (settings.Native == BenchSettings.NoNative)
        {
            whyNot = "it was not asked for";
        }
        else
        {
            bool isOwn = settings.Native == BenchSettings.GuestArchitecture;
            string tree = isOwn ? guestTree : BenchGuest.EnsureTree(store, settings.Native, cancellation);
            whyNot = Machines.WhyNotNative(tree);
            if (whyNot is null)
            {
                commands.Add(Machines.Native(tree, folder.Path));
            }
            else
            {
                progress.Warn($"no native run of {settings.Native} programs: {whyNot}{(isOwn ? "; --native amd64 runs the 64-bit ones of the same packages in their place" : "")}");
            }
        }

        commands.Add(Machines.Engine(MachineCommand.Tiered, kernel, ramdisk));
        commands.AddRange(settings.Against.Select(name => name == MachineCommand.Qemu ? Machines.OnQemu(kernel, ramdisk) : Machines.Engine(name, kernel, ramdisk)));
        var result = new BenchResult([.. commands.Select(command => command.Name)], settings.Workloads) { WhyNotNative = whyNot, NativeArchitecture = settings.Native };
        if (result.Reference is null)
        {
            throw new BenchException("there is nothing whose output must be the same: name an engine or qemu with --against");
        }

        try
        {
            Measure([.. commands.Select(command => new Place(command))], result);
        }
        catch (OperationCanceledException) when (result.HasSamples)
        {
            result.WasInterrupted = true; // a long run's figures so far are worth having
        }

        return result;
    }

    private void Measure(Place[] places, BenchResult result)
    {
        try
        {
            progress.Booting(places.Length);
            foreach (Place place in places)
            {
                place.Start();
            }

            foreach (Place place in places)
            {
                place.Machine!.WaitUntilReady(BootLimit, cancellation);
            }

            for (int round = 1; round <= settings.Rounds; round++)
            {
                foreach (Workload workload in settings.Workloads)
                {
                    foreach (Place place in places)
                    {
                        // It has failed whatever comes, and would take all of its time again.
                        if (result.Samples(workload.Name, place.Command.Name).Any(earlier => earlier.Failure is not null))
                        {
                            continue;
                        }

                        progress.Running(round, workload.Name, place.Command.Name);
                        Sample sample = RunOne(place, workload);
                        result.Add(workload.Name, place.Command.Name, sample);
                        progress.Done(round, workload.Name, place.Command.Name, sample);
                    }
                }
            }
        }
        finally
        {
            Array.ForEach(places, place => place.Stop());
        }
    }

    private Sample RunOne(Place place, Workload workload)
    {
        if (place.Machine is null)
        {
            place.Start();
            place.Machine!.WaitUntilReady(BootLimit, cancellation);
        }

        try
        {
            return place.Machine.Run(workload.Name, settings.Timeout, cancellation);
        }
        catch (BenchException exception)
        {
            place.Stop();
            cancellation.ThrowIfCancellationRequested(); // a terminal interrupts all of us
            return Sample.Failed(exception.Message);
        }
    }

    private sealed class Place(MachineCommand command)
    {
        public MachineCommand Command => command;

        public BenchMachine? Machine { get; private set; }

        public void Start() => Machine = BenchMachine.Start(command);

        public void Stop()
        {
            Machine?.Dispose();
            Machine = null;
        }
    }
}
