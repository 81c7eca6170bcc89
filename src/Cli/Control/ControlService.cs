using System.Globalization;
using Dbt.Cli.Control.Contract;
using Dbt.Cli.Profile;
using Dbt.Devices;
using Dbt.Devices.Block;
using Dbt.Devices.Network;
using Dbt.Runtime;
using Grpc.Core;

namespace Dbt.Cli.Control;

/// <summary>The contract of control.proto on a guest of this process: calls, and errors as status codes.</summary>
internal sealed class ControlService(ControlledGuest guest) : DomainControl.DomainControlBase
{
    /// <inheritdoc/>
    public override Task<ListReply> List(ListRequest request, ServerCallContext context) => Answer(() => new ListReply { Domains = { guest.Describe() } });

    /// <inheritdoc/>
    public override Task<LogReply> GetLog(DomainRequest request, ServerCallContext context) =>
        Answer(request.Domain, () => new LogReply { Lines = { guest.Log() } });

    /// <inheritdoc/>
    public override Task<Done> Shutdown(ShutdownRequest request, ServerCallContext context) => Do(request.Domain, () => guest.Shutdown(request.What));

    /// <inheritdoc/>
    public override Task<Done> Destroy(DomainRequest request, ServerCallContext context) => Do(request.Domain, guest.Destroy);

    /// <inheritdoc/>
    public override Task<Done> Pause(DomainRequest request, ServerCallContext context) => Do(request.Domain, () => guest.SetPaused(true));

    /// <inheritdoc/>
    public override Task<Done> Unpause(DomainRequest request, ServerCallContext context) => Do(request.Domain, () => guest.SetPaused(false));

    /// <inheritdoc/>
    public override Task<Done> SetMemoryTarget(MemoryRequest request, ServerCallContext context) =>
        Do(request.Domain, () => guest.SetMemoryTarget(request.Kib));

    /// <inheritdoc/>
    public override Task<Done> SetMaximumMemory(MemoryRequest request, ServerCallContext context) =>
        Do(request.Domain, () => guest.SetMaximumMemory(request.Kib));

    /// <inheritdoc/>
    public override Task<Done> SetVcpus(VcpusRequest request, ServerCallContext context) => Do(request.Domain, () => guest.SetVcpus(request.Count));

    /// <inheritdoc/>
    public override Task<BlockReply> ListBlock(BlockRequest request, ServerCallContext context) =>
        Answer(request.Domain, () => BlockReplies.Of(guest.ListBlock(request.Address)));

    /// <inheritdoc/>
    public override Task<Done> AttachDisk(AttachDiskRequest request, ServerCallContext context) => Do(request.Domain, () =>
    {
        if (!VirtualDevice.TryParse(request.Device, out VirtualDevice device) || !Path.IsPathFullyQualified(request.Path))
        {
            throw new ControlException(ControlError.Invalid, $"'{request.Device}' is not a virtual disk, or '{request.Path}' no full path");
        }

        guest.AttachDisk(new DiskConfiguration(request.Path, device, request.ReadOnly, request.Cdrom ? DiskType.Cdrom : DiskType.Disk));
    });

    /// <inheritdoc/>
    public override Task<Done> DetachDisk(DetachDeviceRequest request, ServerCallContext context) =>
        Wait(request.Domain, () => guest.DetachDisk(request.Device, request.Force));

    /// <inheritdoc/>
    public override Task<DiskList> ListDisks(DomainRequest request, ServerCallContext context) =>
        Answer(request.Domain, () => new DiskList { Disks = { guest.Disks().Select(Describe) } });

    /// <inheritdoc/>
    public override Task<Done> AttachNetwork(AttachNetworkRequest request, ServerCallContext context) =>
        Do(request.Domain, () => guest.AttachNetwork(request.Card));

    /// <inheritdoc/>
    public override Task<Done> DetachNetwork(DetachDeviceRequest request, ServerCallContext context) =>
        Wait(request.Domain, () => guest.DetachNetwork(request.Device, request.Force));

    /// <inheritdoc/>
    public override Task<NetworkList> ListNetworks(DomainRequest request, ServerCallContext context) =>
        Answer(request.Domain, () => new NetworkList { Networks = { guest.Networks().Select(Describe) } });

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
    };

    private Task<Done> Do(string domain, Action action) => Answer(domain, () =>
    {
        action();
        return new Done();
    });

    /// <summary>For what waits for the guest: not on a thread of the server's.</summary>
    private Task<Done> Wait(string domain, Action action) =>
        Task.Factory.StartNew(() => Do(domain, action), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();

    private Task<T> Answer<T>(string domain, Func<T> action)
    {
        if (domain != guest.Name && domain != ControlledGuest.Id.ToString(CultureInfo.InvariantCulture))
        {
            throw new RpcException(new Status(StatusCode.NotFound, $"{domain} is not here"));
        }

        return Answer(action);
    }

    private static Task<T> Answer<T>(Func<T> action)
    {
        try
        {
            return Task.FromResult(action());
        }
        catch (ControlException exception)
        {
            throw new RpcException(new Status(Code(exception.Error), exception.Message));
        }
        catch (HostException exception)
        {
            throw new RpcException(new Status(StatusCode.FailedPrecondition, exception.Message));
        }
    }

    private static StatusCode Code(ControlError error) => error switch
    {
        ControlError.NotFound => StatusCode.NotFound,
        ControlError.Invalid => StatusCode.InvalidArgument,
        ControlError.Refused => StatusCode.FailedPrecondition,
        _ => StatusCode.Unavailable,
    };
}
