using System.Globalization;
using System.Threading.Channels;
using Dbt.Cli.Api;
using Dbt.Cli.Consoles;
using Dbt.Cli.Migration;
using Dbt.Cli.Profile;
using Dbt.Cli.Running;
using Dbt.Devices;
using Dbt.Devices.Block;
using Dbt.Devices.Network;
using Google.Protobuf;
using Grpc.Core;

namespace Dbt.Cli.Control;

/// <summary>The contract's Domains on the guests of this process: calls, and errors as status codes.</summary>
internal sealed class ControlService(ControlServices services) : Domains.DomainsBase
{
    /// <inheritdoc/>
    public override Task<ListReply> List(ListRequest request, ServerCallContext context)
    {
        var reply = new ListReply();
        foreach (Guest guest in services.Guests.Guests)
        {
            // One that is just starting or ending isn't there.
            if (guest.Control.TryDescribe() is { } domain)
            {
                reply.Domains.Add(domain);
            }
        }

        return Task.FromResult(reply);
    }

    /// <inheritdoc/>
    public override Task<LogReply> GetLog(DomainRequest request, ServerCallContext context) =>
        Answer(request.Domain, guest => new LogReply { Lines = { guest.Log() } });

    /// <inheritdoc/>
    public override Task<TextReply> GetConfiguration(DomainRequest request, ServerCallContext context) =>
        Answer(request.Domain, guest => new TextReply { Text = guest.Configuration() });

    /// <inheritdoc/>
    public override Task<TextReply> GetStatistics(DomainRequest request, ServerCallContext context) =>
        Answer(request.Domain, guest => new TextReply { Text = guest.Statistics() });

    /// <inheritdoc/>
    public override Task<Usage> GetUsage(DomainRequest request, ServerCallContext context) => Answer(request.Domain, guest => guest.Usage());

    /// <inheritdoc/>
    public override Task<Done> Rename(RenameRequest request, ServerCallContext context) => Do(request.Domain, guest => guest.Rename(request.Name));

    /// <inheritdoc/>
    public override async Task<Done> Wait(DomainRequest request, ServerCallContext context)
    {
        await Find(request.Domain).Control.EndOfDomain.WaitAsync(context.CancellationToken).ConfigureAwait(false);
        return new Done();
    }

    /// <inheritdoc/>
    public override async Task Console(IAsyncStreamReader<ConsoleInput> requestStream, IServerStreamWriter<ConsoleOutput> responseStream, ServerCallContext context)
    {
        if (!await requestStream.MoveNext(context.CancellationToken).ConfigureAwait(false))
        {
            return;
        }

        GuestConsole console = Find(requestStream.Current.Domain).Console;
        using ConsoleViewer viewer = console.Watch();
        _ = TypeAsync(requestStream, console, context.CancellationToken);
        try
        {
            // Says that it is attached: who waits for that may let a paused guest go then.
            await responseStream.WriteAsync(new ConsoleOutput(), context.CancellationToken).ConfigureAwait(false);
            while (await viewer.ReadAsync(context.CancellationToken).ConfigureAwait(false) is { } bytes)
            {
                await responseStream.WriteAsync(new ConsoleOutput { Data = UnsafeByteOperations.UnsafeWrap(bytes) }, context.CancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or InvalidOperationException && context.CancellationToken.IsCancellationRequested)
        {
            // The viewer has left.
        }
    }

    /// <inheritdoc/>
    public override Task<Done> Shutdown(ShutdownRequest request, ServerCallContext context) => Do(request.Domain, guest => guest.Shutdown(request.What));

    /// <inheritdoc/>
    public override async Task<Done> Destroy(DomainRequest request, ServerCallContext context)
    {
        Guest guest = Find(request.Domain);
        guest.Control.Destroy();
        if (services.Daemon is not null)
        {
            // As with xl it is gone when this returns; a process that ends with its guest can't tell.
            await guest.Control.EndOfGuest.WaitAsync(context.CancellationToken).ConfigureAwait(false);
        }

        return new Done();
    }

    /// <inheritdoc/>
    public override Task<Done> Pause(DomainRequest request, ServerCallContext context) => Do(request.Domain, guest => guest.SetPaused(true));

    /// <inheritdoc/>
    public override Task<Done> Unpause(DomainRequest request, ServerCallContext context) => Do(request.Domain, guest => guest.SetPaused(false, request.Force));

    /// <inheritdoc/>
    public override async Task Migrate(MigrateRequest request, IServerStreamWriter<MigrateProgress> responseStream, ServerCallContext context)
    {
        ControlledGuest guest = Find(request.Domain).Control;
        var options = new MigrationOptions();
        options = options with
        {
            DowntimeGoal = request.DowntimeMilliseconds > 0 ? TimeSpan.FromMilliseconds(Math.Min(request.DowntimeMilliseconds, 60_000)) : options.DowntimeGoal,
            MostRounds = request.Rounds > 0 ? (int)Math.Min(request.Rounds, 1000) : options.MostRounds,
            SuspendPatience = request.SuspendSeconds > 0 ? TimeSpan.FromSeconds(Math.Min(request.SuspendSeconds, 3600)) : options.SuspendPatience,
        };
        var told = Channel.CreateBounded<MigrateProgress>(new BoundedChannelOptions(16) { FullMode = BoundedChannelFullMode.DropOldest });
        Task work = Task.Factory.StartNew(() =>
        {
            try
            {
                (IReadOnlyList<(string What, TimeSpan Took)> parts, TimeSpan held) = guest.Migrate(
                    request.Target, options, request.Suspended, progress => told.Writer.TryWrite(MigrationReplies.Of(progress)), context.CancellationToken);
                told.Writer.TryWrite(MigrationReplies.Done(parts, held));
            }
            finally
            {
                told.Writer.Complete();
            }
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        TimeSpan rest = options.Rest;
        try
        {
            await foreach (MigrateProgress progress in told.Reader.ReadAllAsync().ConfigureAwait(false))
            {
                if (progress.Phase == MigrateProgress.Types.Phase.Done)
                {
                    await Task.Delay(rest).ConfigureAwait(false);
                    rest = TimeSpan.Zero;
                }

                await responseStream.WriteAsync(progress).ConfigureAwait(false);
            }

            await work.ConfigureAwait(false);
        }
        catch (Exception exception) when (ControlErrors.Of(exception) is { } status)
        {
            throw new RpcException(status);
        }
        catch (OperationCanceledException)
        {
            throw new RpcException(new Status(StatusCode.Cancelled, "it stays here"));
        }
        catch (InvalidOperationException) when (context.CancellationToken.IsCancellationRequested)
        {
            // Who asked has gone; what was begun ends by itself.
        }
    }

    /// <inheritdoc/>
    public override Task Save(SaveRequest request, IServerStreamWriter<Progress> responseStream, ServerCallContext context) =>
        ProgressStream.RunAsync(responseStream, context, async (report, cancellation) =>
        {
            await Find(request.Domain).Control.SaveAsync(request, report, cancellation).ConfigureAwait(false);
            return null;
        });

    /// <inheritdoc/>
    public override Task DumpCore(DumpCoreRequest request, IServerStreamWriter<Progress> responseStream, ServerCallContext context) =>
        ProgressStream.RunAsync(responseStream, context, async (report, cancellation) =>
        {
            await Find(request.Domain).Control.DumpCoreAsync(request, report, cancellation).ConfigureAwait(false);
            return null;
        });

    /// <inheritdoc/>
    public override Task<Done> SetMemoryTarget(MemoryRequest request, ServerCallContext context) =>
        Do(request.Domain, guest => guest.SetMemoryTarget(request.Kib));

    /// <inheritdoc/>
    public override Task<Done> SetMaximumMemory(MemoryRequest request, ServerCallContext context) =>
        Do(request.Domain, guest => guest.SetMaximumMemory(request.Kib));

    /// <inheritdoc/>
    public override Task<Done> SetVcpus(VcpusRequest request, ServerCallContext context) => Do(request.Domain, guest => guest.SetVcpus(request.Count));

    /// <inheritdoc/>
    public override Task<Done> SetCpuShare(CpuShareRequest request, ServerCallContext context) => Do(request.Domain, guest =>
        guest.SetCpuShare(request.HasWeight ? request.Weight : null, request.HasCap ? request.Cap : null));

    /// <inheritdoc/>
    public override Task<BlockReply> ListBlock(BlockRequest request, ServerCallContext context) =>
        Answer(request.Domain, guest => BlockReplies.Of(guest.ListBlock(request.Address)));

    /// <inheritdoc/>
    public override Task<Done> AttachDisk(AttachDiskRequest request, ServerCallContext context) => Do(request.Domain, guest =>
    {
        if (!VirtualDevice.TryParse(request.Device, out VirtualDevice device) || (request.Backend.Length == 0 && !Path.IsPathFullyQualified(request.Path)))
        {
            throw new ControlException(ControlError.Invalid, $"'{request.Device}' is not a virtual disk, or '{request.Path}' no full path");
        }

        guest.AttachDisk(new DiskConfiguration(request.Path, device, request.ReadOnly, request.Cdrom ? DiskType.Cdrom : DiskType.Disk)
        {
            Backend = request.Backend.Length == 0 ? null : request.Backend,
        });
    });

    /// <inheritdoc/>
    public override Task<Done> DetachDisk(DetachDeviceRequest request, ServerCallContext context) =>
        Wait(request.Domain, guest => guest.DetachDisk(request.Device, request.Force));

    /// <inheritdoc/>
    public override Task<DiskList> ListDisks(DomainRequest request, ServerCallContext context) =>
        Answer(request.Domain, guest => new DiskList { Disks = { guest.Disks().Select(Describe) } });

    /// <inheritdoc/>
    public override Task<Done> AttachNetwork(AttachNetworkRequest request, ServerCallContext context) =>
        Do(request.Domain, guest => guest.AttachNetwork(request.Card));

    /// <inheritdoc/>
    public override Task<Done> DetachNetwork(DetachDeviceRequest request, ServerCallContext context) =>
        Wait(request.Domain, guest => guest.DetachNetwork(request.Device, request.Force));

    /// <inheritdoc/>
    public override Task<NetworkList> ListNetworks(DomainRequest request, ServerCallContext context) =>
        Answer(request.Domain, guest => new NetworkList { Networks = { guest.Networks().Select(Describe) } });

    private static async Task TypeAsync(IAsyncStreamReader<ConsoleInput> keys, GuestConsole console, CancellationToken cancellation)
    {
        try
        {
            while (await keys.MoveNext(cancellation).ConfigureAwait(false))
            {
                console.Input.Add(keys.Current.Data.Span);
                await Task.Run(() => console.Input.AwaitRoom(cancellation), cancellation).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or InvalidOperationException)
        {
            // The viewer has left.
        }
    }

    private static Disk Describe(DiskStatus disk) => new()
    {
        Device = disk.Configuration.Device.Name,
        Number = disk.Configuration.Device.Number,
        Path = disk.Configuration.Path,
        ReadOnly = disk.Configuration.ReadOnly,
        State = disk.State,
        EventChannel = disk.EventChannel ?? -1L,
        Ring = disk.RingReference ?? -1L,
        BackendPath = disk.BackendPath,
        Backend = disk.BackendId,
    };

    private static Network Describe(NetworkStatus card) => new()
    {
        Handle = card.Card.Handle,
        Mac = card.Card.Mac.ToString() ?? "",
        State = card.State,
        EventChannel = card.EventChannel ?? -1L,
        TransmitRing = card.TransmitRing ?? -1L,
        ReceiveRing = card.ReceiveRing ?? -1L,
        BackendPath = card.BackendPath,
        Backend = card.BackendId,
    };

    private Task<Done> Do(string domain, Action<ControlledGuest> action) => Answer(domain, guest =>
    {
        action(guest);
        return new Done();
    });

    /// <summary>For what waits for the guest: not on a thread of the server's.</summary>
    private Task<Done> Wait(string domain, Action<ControlledGuest> action) =>
        Task.Factory.StartNew(() => Do(domain, action), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();

    // An id before a name.
    private Guest Find(string domain)
    {
        IReadOnlyList<Guest> guests = services.Guests.Guests;
        return guests.FirstOrDefault(guest => guest.Control.Id != 0 && guest.Control.Id.ToString(CultureInfo.InvariantCulture) == domain)
            ?? guests.FirstOrDefault(guest => guest.Name == domain)
            ?? throw new RpcException(new Status(StatusCode.NotFound, $"Error: Domain '{domain}' does not exist."));
    }

    private Task<T> Answer<T>(string domain, Func<ControlledGuest, T> action)
    {
        try
        {
            return Task.FromResult(action(Find(domain).Control));
        }
        catch (Exception exception) when (ControlErrors.Of(exception) is { } status)
        {
            throw new RpcException(status);
        }
    }
}
