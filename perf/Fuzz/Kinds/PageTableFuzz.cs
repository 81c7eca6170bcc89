using Dbt.Perf.Fuzz.Attackers;
using Dbt.Translator;

namespace Dbt.Perf.Fuzz.Kinds;

/// <summary>
/// Page tables of a paravirtual guest, changed in all ways there are (mmu_update, update_va_mapping, mmuext_op, instructions that write to
/// them), while its code reads, writes and runs what they map. Afterwards all counts are recomputed.
/// </summary>
internal sealed class PageTableFuzz : IFuzzKind
{
    private const int Milliseconds = 60;
    private static readonly HypercallShape[] s_shapes = HypercallShape.Weighed(HypercallShape.PageTables);

    /// <inheritdoc/>
    public int LongestCase => 6000;

    /// <inheritdoc/>
    public void Run(FuzzInput input, FuzzArena arena)
    {
        int kind = input.Byte();
        int vcpus = (kind & 1) != 0 ? 2 : 1;
        using var attacker = new PvAttacker(arena, (kind & 2) != 0 ? EngineKind.Quick : EngineKind.Interpreter, vcpus);
        var writer = new AttackWriter(input, attacker, new AttackValues(input, attacker, [], arena), s_shapes);
        for (int i = 0; i < vcpus; i++)
        {
            writer.WriteScript(i, AttackScript.Steps / vcpus, memoryInEight: 3);
        }

        attacker.Start();
        attacker.Finish(arena.Notes, Milliseconds);
        writer.Note(arena.Notes);
        if (HoldsNothingElse(attacker))
        {
            string? problem = PageTableAudit.Find(attacker.Domain);
            FuzzFinding.Unless(problem is null, problem ?? "");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    // Descriptor tables hold references too: the LDT's pages, that a script may have set by mmuext_op.
    private static bool HoldsNothingElse(PvAttacker attacker)
    {
        _ = attacker.Domain.Memory.TrySettle();
        for (uint mfn = 1; mfn < attacker.Domain.Hypervisor.Machine.HighWater; mfn++)
        {
            if (attacker.Domain.Memory.Owns(mfn) && attacker.Domain.Memory.TypeOf(mfn) == Xen.Memory.PageType.Descriptor)
            {
                return false;
            }
        }

        return true;
    }
}
