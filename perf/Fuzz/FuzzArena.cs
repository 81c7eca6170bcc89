using Dbt.Devices.Store;
using Dbt.Xen;
using Dbt.Xen.Memory;

namespace Dbt.Perf.Fuzz;

/// <summary>
/// The machine that attacks take place on: a hypervisor, a xenstore, and a neighbour that looks after its own. It knows what everything
/// was like before an attacker came, and looks whether it is like that again when the attacker is gone.
/// </summary>
internal sealed unsafe class FuzzArena : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    // Folders that the first device of a kind brings, and that stay.
    private static readonly string[] s_backends =
        ["/local/domain/0/backend/vbd", "/local/domain/0/backend/vif", "/local/domain/0/error/backend/vbd", "/local/domain/0/error/backend/vif"];

    private readonly uint _freeFrames;
    private readonly (uint References, ulong Type)[] _neighbourFrames;

    /// <param name="machineMiB">Size of the machine.</param>
    public FuzzArena(int machineMiB)
    {
        Hypervisor = new Hypervisor((ulong)machineMiB << 20);
        Neighbour = new Neighbour(Hypervisor, Store);
        Neighbour.Start();
        Neighbour.WaitForRounds(2, s_patience);
        _freeFrames = Hypervisor.Machine.FreeFrames;
        foreach (string folder in s_backends)
        {
            Store.Mkdir(folder);
        }

        NodesBefore = CountNodes();
        _neighbourFrames = [.. Neighbour.Frames.Select(CountsOf)];
    }

    /// <summary>The machine.</summary>
    public Hypervisor Hypervisor { get; }

    /// <summary>The store that all are in.</summary>
    public XenStore Store { get; } = new();

    /// <summary>The domain that nothing may happen to.</summary>
    public Neighbour Neighbour { get; }

    /// <summary>Nodes in the store before there was an attacker.</summary>
    public int NodesBefore { get; }

    /// <summary>What the attacks meet.</summary>
    public FuzzNotes Notes { get; } = new();

    /// <summary>
    /// Looks at the neighbour and at what the attackers, which are gone, may have left.
    /// </summary>
    /// <exception cref="FuzzFinding">The neighbour was touched, or something didn't come back.</exception>
    public void Check()
    {
        Neighbour.Check();
        for (int i = 0; i < _neighbourFrames.Length; i++)
        {
            uint mfn = Neighbour.Frames[i];
            FuzzFinding.Unless(CountsOf(mfn) == _neighbourFrames[i], $"frame {mfn:x} of the neighbour has counts {CountsOf(mfn)}, and had {_neighbourFrames[i]}");
        }

        FuzzFinding.Unless(Hypervisor.Domains.Count == 1, $"{Hypervisor.Domains.Count} domains are left");

        // The last back end's thread may still be on its way out.
        SpinWait.SpinUntil(() => Hypervisor.Machine.FreeFrames == _freeFrames, s_patience);
        uint free = Hypervisor.Machine.FreeFrames;
        FuzzFinding.Unless(free == _freeFrames, $"{free} frames are free, and {_freeFrames} were before there was an attacker");
        int nodes = CountNodes();
        FuzzFinding.Unless(nodes == NodesBefore, $"{nodes} nodes are in the store, and {NodesBefore} were before there was an attacker");
    }

    /// <summary>Waits until the neighbour has gone on with its work.</summary>
    public void CheckNeighbourRuns() => Neighbour.WaitForRounds(Neighbour.Rounds + 1, s_patience);

    /// <summary>Nodes in the store now.</summary>
    public int CountNodes()
    {
        int count = 0;
        var left = new Stack<string>(["/"]);
        while (left.TryPop(out string? next))
        {
            count++;
            foreach (string child in Store.List(next) ?? [])
            {
                left.Push(next == "/" ? "/" + child : $"{next}/{child}");
            }
        }

        return count;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Neighbour.Dispose();
        Hypervisor.Dispose();
    }

    private (uint References, ulong Type) CountsOf(uint mfn)
    {
        ref PageInfo page = ref Hypervisor.Frames[mfn];
        return (page.References, page.TypeInfo);
    }
}
