using Dbt.Tests.Xen.Events;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Dbt.Xen.Snapshot;

namespace Dbt.Tests.Snapshot;

/// <summary>A guest's limits go with it, so that what it has beyond the usual ones is taken up.</summary>
public sealed unsafe class LimitTests
{
    private const int HighestPort = 2900, Ports = 2500, GrantFrames = 3, MapFrames = 7, TwoLevelPorts = 1024;

    [Fact]
    public void MoreEventChannelsThanUsualAreTakenUp()
    {
        using var fifo = new FifoGuest(pages: 3);
        Domain domain = fifo.Guest.Domain;
        fifo.Events.HighestPort = HighestPort;
        (domain.Grants.HighestFrames, domain.Grants.HighestMapFrames, domain.Grants.HighestVersion) = (GrantFrames, MapFrames, 1);
        uint last = 0;
        for (int i = 0; i < Ports; i++)
        {
            last = fifo.Ipi();
        }

        Assert.True(last > TwoLevelPorts, $"the last port is {last}");
        fifo.Word(last) = 0;
        using var machine = new Hypervisor();
        using Domain moved = Move(domain, machine);
        Assert.Equal(HighestPort, moved.Events.HighestPort);
        Assert.Equal((GrantFrames, MapFrames, 1), (moved.Grants.HighestFrames, moved.Grants.HighestMapFrames, moved.Grants.HighestVersion));

        // An event goes to the last of them, and it can have more.
        Assert.Equal(0, moved.Events.Send(last));
        uint word = ((uint*)machine.Machine.Frame(fifo.Guest.MfnOf(FifoGuest.Words + ((last >> 10) << 12))))[last & 1023];
        Assert.NotEqual(0u, word & (1u << 31));
        Assert.True(moved.Events.TryAllocateForBackend(out uint next));
        Assert.Equal(last + 1, next);
    }

    // As a migration does it: header, pages, state.
    private static Domain Move(Domain domain, Hypervisor machine)
    {
        domain.Pause();
        GuestPage[] pages = [.. DomainState.Pages(domain)];
        (domain.StoreMfn, domain.ConsoleMfn) = (pages[0].Mfn, pages[1].Mfn);
        using var stream = new MemoryStream();
        var writer = new StateWriter(stream);
        DomainState.Capture(domain, writer);
        writer.End();
        stream.Position = 0;
        var restorer = new DomainRestorer(machine, DomainHeader.Of(domain, ImageKind.Live), new EngineOptions { Kind = EngineKind.Interpreter }, "moved", Guid.NewGuid());
        foreach (GuestPage page in pages)
        {
            new ReadOnlySpan<byte>(domain.Hypervisor.Machine.Frame(page.Mfn), Layout.PageSize).CopyTo(restorer.Page(page.Number));
        }

        restorer.Finish(StateReader.Read(stream));
        return restorer.Domain;
    }
}
