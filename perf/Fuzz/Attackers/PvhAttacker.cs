using System.Buffers.Binary;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Hypercalls;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Perf.Fuzz.Attackers;

/// <summary>A PVH attacker without paging: its linear addresses are guest-physical ones.</summary>
internal sealed unsafe class PvhAttacker : Attacker
{
    private const uint DescriptorTables = 0x14000, Idt = 0x14800, Pointers = 0x14100, StartOffset = 0xE00;
    private const int MemoryOp = 12, AddToPhysmap = 7;
    private readonly uint[] _frames = new uint[MoreEnd >> 12];
    private readonly FuzzArena _arena;

    /// <param name="arena">Where it is.</param>
    /// <param name="engine">How its code is executed.</param>
    /// <param name="vcpus">Processors; the guest has to start the others.</param>
    public PvhAttacker(FuzzArena arena, EngineKind engine, int vcpus)
    {
        _arena = arena;
        Domain = arena.Hypervisor.CreateDomain("pvh attacker", Options(engine));
        Dbt.Xen.Hvm.HvmDomain hvm = Domain.MakeTranslated();
        Domain.Memory.MaxPages = 192;
        for (uint gfn = 0; gfn < _frames.Length; gfn++)
        {
            if (!Domain.Memory.TryPopulate(gfn))
            {
                throw new InvalidOperationException("The machine has no page left.");
            }

            _frames[gfn] = hvm.Physmap[gfn];
        }

        if (!Domain.Memory.TryAllocateHypervisorPage(out uint shared, guestWritable: true))
        {
            throw new InvalidOperationException("The machine has no page left for shared_info.");
        }

        Domain.SharedInfoMfn = shared;
        (Domain.StoreMfn, Domain.ConsoleMfn) = (_frames[StoreRing >> 12], _frames[ConsoleRing >> 12]);
        Domain.Events.TryAllocateForBackend(out uint store);
        Domain.Events.TryAllocateForBackend(out uint console);
        (Domain.StorePort, Domain.ConsolePort) = (store, console);
        for (int i = 0; i < vcpus; i++)
        {
            Domain.Vcpus.Add(new Vcpu(Domain, i));
            _ = AssembleProgram(i, translated: true);
        }

        WriteTables();
        Domain.Vcpus[0].SetNativeStartState(ProgramOf(0) + StartOffset, 0);
        Place(space: 0, SharedInfo >> 12); // XENMAPSPACE_shared_info
        Place(space: 1, GrantFrame >> 12); // XENMAPSPACE_grant_table
        _frames[SharedInfo >> 12] = hvm.Physmap[SharedInfo >> 12];
        _frames[GrantFrame >> 12] = hvm.Physmap[GrantFrame >> 12];
    }

    /// <inheritdoc/>
    public override Domain Domain { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<uint> Pages { get; } = [.. Enumerable.Range(0, (int)(MoreEnd >> 12)).Select(static gfn => (uint)gfn)];

    /// <inheritdoc/>
    public override IReadOnlyList<uint> TableFrames => [];

    /// <inheritdoc/>
    public override byte* At(uint address) => _arena.Hypervisor.Machine.Frame(_frames[address >> 12]) + (address & 0xFFF);

    private void WriteTables()
    {
        BinaryPrimitives.WriteUInt64LittleEndian(new Span<byte>(At(DescriptorTables + 8), 8), 0x00CF9B00_0000FFFF);
        BinaryPrimitives.WriteUInt64LittleEndian(new Span<byte>(At(DescriptorTables + 16), 8), 0x00CF9300_0000FFFF);
        for (uint vector = 0; vector < 256; vector++)
        {
            Word(Idt + (vector * 8)) = (8 << 16) | (ProgramOf(0) & 0xFFFF);
            Word(Idt + (vector * 8) + 4) = (ProgramOf(0) & 0xFFFF0000) | 0x8E00;
        }

        (Word(Pointers), Word(Pointers + 4)) = (23 | (DescriptorTables << 16), DescriptorTables >> 16);
        (Word(Pointers + 8), Word(Pointers + 12)) = (0x7FF | (Idt << 16), Idt >> 16);
        Assemble(ProgramOf(0) + StartOffset, c =>
        {
            c.lgdt(__[Pointers]);
            c.lidt(__[Pointers + 8]);
            c.mov(eax, 16);
            c.mov(ds, eax);
            c.mov(es, eax);
            c.mov(ss, eax);
            c.mov(esp, StackOf(0));
            c.push(8);
            c.push(ProgramOf(0));
            c.retf();
        });
    }

    private void Place(uint space, uint gfn)
    {
        (Word(Arguments), Word(Arguments + 4), Word(Arguments + 8), Word(Arguments + 12)) = (0x7FF0, space, 0, gfn);
        Vcpu vcpu = Domain.Vcpus[0];
        int error = HypercallDispatch.Call(vcpu, MemoryOp, new HypercallArguments(AddToPhysmap, Arguments, 0, 0, 0, 0));
        vcpu.Hvm!.ApplyFlush();
        if (error != 0)
        {
            throw new InvalidOperationException($"Placing frame {gfn:x} gives {error}.");
        }
    }
}
