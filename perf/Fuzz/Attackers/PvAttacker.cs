using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;

namespace Dbt.Perf.Fuzz.Attackers;

/// <summary>A paravirtual attacker: its page tables are mapped read-only, some of its pages nowhere.</summary>
internal sealed unsafe class PvAttacker : Attacker
{
    private const ulong Present = 1, Writable = 2, User = 4, Accessed = 32, Dirty = 64;
    private const int Spare = 16;
    private const int SetTrapTable = 0, SetCallbacks = 4;
    private readonly SmallDomain _small;
    private readonly List<uint> _pages;

    /// <param name="arena">Where it is.</param>
    /// <param name="engine">How its code is executed.</param>
    /// <param name="vcpus">Processors.</param>
    public PvAttacker(FuzzArena arena, EngineKind engine, int vcpus)
    {
        _small = new SmallDomain(Options(engine), vcpus, arena.Hypervisor);
        Domain.Memory.MaxPages = 192;
        uint l2 = Entry(_small.Root, 0), l1 = Entry(l2, 0);
        TableFrames = [l1, l2, Entry(_small.Root, 3), _small.Root];
        _pages = [.. _small.Frames];
        for (int i = 0; i < Spare; i++)
        {
            if (Domain.Memory.TryAddPage(out uint mfn))
            {
                _pages.Add(mfn);
            }
        }

        for (uint i = 0; i < TableFrames.Count; i++)
        {
            Map(Tables + (i << 12), TableFrames[(int)i], 0);
        }

        for (uint i = 0; i < (MoreEnd - More) >> 12; i++)
        {
            Map(More + (i << 12), _pages[_small.Frames.Length + (int)i], Writable);
        }

        Map(GrantFrame, Domain.Grants.TryGetFrame(0), Writable);
        (Domain.StoreMfn, Domain.ConsoleMfn) = (_small.Frames[StoreRing >> 12], _small.Frames[ConsoleRing >> 12]);
        Domain.Events.TryAllocateForBackend(out uint store);
        Domain.Events.TryAllocateForBackend(out uint console);
        (Domain.StorePort, Domain.ConsolePort) = (store, console);
        for (int i = 0; i < vcpus; i++)
        {
            AddProcessor(i);
        }
    }

    /// <inheritdoc/>
    public override Domain Domain => _small.Domain;

    /// <inheritdoc/>
    public override IReadOnlyList<uint> Pages => _pages;

    /// <inheritdoc/>
    public override IReadOnlyList<uint> TableFrames { get; }

    /// <inheritdoc/>
    public override byte* At(uint address) => address >= GrantFrame && address < GrantFrame + 0x1000
        ? _small.Hypervisor.Machine.Frame(Domain.Grants.TryGetFrame(0)) + (address & 0xFFF)
        : _small.At(address);

    private uint Entry(uint table, int index) => (uint)PageTableEntry.Frame(((ulong*)_small.Hypervisor.Machine.Frame(table))[index]);

    private void Map(uint linear, uint mfn, ulong flags)
    {
        int error = Domain.Memory.UpdateMapping(_small.Vcpu, linear, ((ulong)mfn << 12) | Present | User | Accessed | Dirty | flags, Domain.Id);
        if (error != 0)
        {
            throw new InvalidOperationException($"Mapping frame {mfn:x} at {linear:x} gives {error}.");
        }
    }

    private void AddProcessor(int id)
    {
        Vcpu vcpu = Domain.Vcpus[id];
        uint program = AssembleProgram(id, translated: false);
        if (id != 0 && Domain.Memory.SwitchBase(vcpu, _small.Root) != 0)
        {
            throw new InvalidOperationException("The second processor can't have the first one's page tables.");
        }

        // All faults and events come back to the program.
        for (uint i = 0; i < 20; i++)
        {
            Word(Arguments + (i * 8)) = i | (4 << 8) | ((uint)Layout.FlatRing1Cs << 16);
            Word(Arguments + (i * 8) + 4) = program;
        }

        Word(Arguments + (20 * 8) + 4) = 0;
        _ = HypercallDispatch.Call(vcpu, SetTrapTable, new HypercallArguments(Arguments, 0, 0, 0, 0, 0));
        _ = HypercallDispatch.Call(vcpu, SetCallbacks, new HypercallArguments(Layout.FlatRing1Cs, program, Layout.FlatRing1Cs, program, 0, 0));
        vcpu.SetStartState(program, StackOf(id), 0);
    }
}
