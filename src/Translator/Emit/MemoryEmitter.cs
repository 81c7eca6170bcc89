using System.Reflection.Emit;
using Dbt.Translator.Emit.Spans;
using Dbt.Translator.Memory;

namespace Dbt.Translator.Emit;

/// <summary>How emitted code reaches guest memory. One object per region in the making.</summary>
internal abstract class MemoryEmitter
{
    /// <summary>Emits what must be in locals before any access.</summary>
    public abstract void EmitPrologue(InstructionEmitter e);

    /// <summary>Turns a linear address into a host address, or leaves through <paramref name="exit"/>. The IL stack is empty.</summary>
    /// <param name="e">The emitter.</param>
    /// <param name="linear">A 64-bit local with the zero-extended linear address.</param>
    /// <param name="size">Bytes accessed.</param>
    /// <param name="write">Whether it is written; reading is then allowed too.</param>
    /// <param name="exit">Where to go if the access is not possible as it is.</param>
    /// <param name="unaligned">Where to go if it is not aligned on its size, where that is asked for; it then lies on one page.</param>
    /// <returns>A 64-bit local with the host address.</returns>
    public abstract LocalBuilder EmitHostAddress(InstructionEmitter e, LocalBuilder linear, int size, bool write, Label exit, Label? unaligned = null);

    /// <summary>Checks a whole span and finds its host address, or leaves.</summary>
    /// <param name="e">The emitter.</param>
    /// <param name="linear">A 64-bit local with the zero-extended linear address of its lowest byte.</param>
    /// <param name="span">The span.</param>
    /// <param name="exit">Where to go if its page does not allow it.</param>
    /// <param name="crossing">Where to go if it lies on two pages; null where it can't.</param>
    /// <returns>A 64-bit local with the host address, which nothing else is stored in.</returns>
    public abstract LocalBuilder EmitSpan(InstructionEmitter e, LocalBuilder linear, Span span, Label exit, Label? crossing);

    /// <summary>Pushes the generation of the execute entries.</summary>
    public abstract void EmitGeneration(InstructionEmitter e);

    /// <summary>Pushes the execute entry of a known page.</summary>
    public abstract void EmitExecuteEntry(InstructionEmitter e, uint page);
}

/// <summary>The direct tables of <see cref="SoftwareTlb"/>: one load, two tests, one addition.</summary>
internal sealed class DirectTableEmitter : MemoryEmitter
{
    private LocalBuilder? _table;

    public override void EmitPrologue(InstructionEmitter e)
    {
        _table = e.Il.DeclareLocal(typeof(long));
        e.LoadState(StateLayout.Tlb, OpCodes.Ldind_I8);
        e.Il.Emit(OpCodes.Stloc, _table);
    }

    public override LocalBuilder EmitHostAddress(InstructionEmitter e, LocalBuilder linear, int size, bool write, Label exit, Label? unaligned = null)
    {
        ILGenerator il = e.Il;
        LocalBuilder entry = EmitEntry(e, linear, write, exit);
        if (unaligned is { } elsewhere)
        {
            il.Emit(OpCodes.Ldloc, linear);
            il.Emit(OpCodes.Conv_I4);
            e.Constant(size - 1);
            il.Emit(OpCodes.And);
            il.Emit(OpCodes.Brtrue, elsewhere);
        }
        else if (size is 2 or 4 or 8)
        {
            EmitUnaligned(e, linear, size, exit);
        }
        else if (size > 1)
        {
            EmitCrossing(e, linear, size, exit);
        }

        LocalBuilder host = e.Temp64();
        il.Emit(OpCodes.Ldloc, entry);
        il.Emit(OpCodes.Ldloc, linear);
        il.Emit(OpCodes.Add);
        il.Emit(OpCodes.Stloc, host);
        return host;
    }

    public override LocalBuilder EmitSpan(InstructionEmitter e, LocalBuilder linear, Span span, Label exit, Label? crossing)
    {
        if (crossing is { } elsewhere)
        {
            EmitCrossing(e, linear, span.Length, elsewhere);
        }

        LocalBuilder entry = EmitEntry(e, linear, span.Write, exit);
        LocalBuilder host = e.Il.DeclareLocal(typeof(long));
        e.Il.Emit(OpCodes.Ldloc, entry);
        e.Il.Emit(OpCodes.Ldloc, linear);
        e.Il.Emit(OpCodes.Add);
        e.Il.Emit(OpCodes.Stloc, host);
        return host;
    }

    public override void EmitGeneration(InstructionEmitter e)
    {
        e.Il.Emit(OpCodes.Ldloc, _table!);
        e.Il.Emit(OpCodes.Ldc_I8, (long)SoftwareTlb.GenerationOffset);
        e.Il.Emit(OpCodes.Add);
        e.Il.Emit(OpCodes.Ldind_I8);
    }

    public override void EmitExecuteEntry(InstructionEmitter e, uint page)
    {
        e.Il.Emit(OpCodes.Ldloc, _table!);
        e.Il.Emit(OpCodes.Ldc_I8, (2L * SoftwareTlb.TableBytes) + ((long)page * 8));
        e.Il.Emit(OpCodes.Add);
        e.Il.Emit(OpCodes.Ldind_I8);
    }

    private LocalBuilder EmitEntry(InstructionEmitter e, LocalBuilder linear, bool write, Label exit)
    {
        ILGenerator il = e.Il;
        LocalBuilder entry = e.Temp64();
        il.Emit(OpCodes.Ldloc, _table!);
        il.Emit(OpCodes.Ldloc, linear);
        e.Constant(12);
        il.Emit(OpCodes.Shr_Un);
        e.Constant(3);
        il.Emit(OpCodes.Shl);
        il.Emit(OpCodes.Add);
        if (write)
        {
            il.Emit(OpCodes.Ldc_I8, (long)SoftwareTlb.TableBytes);
            il.Emit(OpCodes.Add);
        }

        il.Emit(OpCodes.Ldind_I8);
        il.Emit(OpCodes.Stloc, entry);
        il.Emit(OpCodes.Ldloc, entry);
        il.Emit(OpCodes.Brfalse, exit);
        return entry;
    }

    // Most accesses are aligned, which takes half the instructions to see; the others are looked at behind the method's end.
    private static void EmitUnaligned(InstructionEmitter e, LocalBuilder linear, int size, Label crossing)
    {
        if (!e.Optimized || e.IsDeferring)
        {
            EmitCrossing(e, linear, size, crossing);
            return;
        }

        ILGenerator il = e.Il;
        Label unaligned = il.DefineLabel(), back = il.DefineLabel();
        il.Emit(OpCodes.Ldloc, linear);
        il.Emit(OpCodes.Conv_I4);
        e.Constant(size - 1);
        il.Emit(OpCodes.And);
        il.Emit(OpCodes.Brtrue, unaligned);
        il.MarkLabel(back);
        e.Defer(() =>
        {
            il.MarkLabel(unaligned);
            EmitCrossing(e, linear, size, crossing);
            il.Emit(OpCodes.Br, back);
        });
    }

    private static void EmitCrossing(InstructionEmitter e, LocalBuilder linear, int size, Label crossing)
    {
        e.Il.Emit(OpCodes.Ldloc, linear);
        e.Il.Emit(OpCodes.Conv_I4);
        e.Constant(0xFFF);
        e.Il.Emit(OpCodes.And);
        e.Constant(4096 - size);
        e.Il.Emit(OpCodes.Bgt_Un, crossing);
    }
}
