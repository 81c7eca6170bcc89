using System.Reflection.Emit;
using Dbt.Translator.Emit.Spans;
using Iced.Intel;
using Label = System.Reflection.Emit.Label;

namespace Dbt.Translator.Emit;

internal sealed partial class InstructionEmitter
{
    // Each keeps a host register or a place on the host's stack.
    private const int MaxSpans = 128;

    private readonly SymbolicRegisters _symbols = new();
    private int _spans;

    /// <summary>Which accesses are checked together; null where each is checked by itself.</summary>
    public SpanPlan? Spans { get; set; }

    /// <summary>Ends an instruction: what the registers hold is known by other names from here on.</summary>
    public void EndInstruction(in Instruction instruction)
    {
        if (Spans is not null)
        {
            _symbols.Step(instruction);
        }
    }

    private void BeginSpans(GuestBlock block)
    {
        if (Spans is not null)
        {
            _symbols.CopyFrom(Spans.EntryOf(block));
        }
    }

    /// <summary>The host address of an access by way of its span, which is checked where that has not been done.</summary>
    /// <returns>Null where the access is to be checked by itself.</returns>
    private LocalBuilder? SpanHost(in MemorySite site)
    {
        if (Spans is null || _deferring)
        {
            return null;
        }

        SymbolicAddress address = SymbolicAddress.Of(_symbols, site);
        if (Spans.Find(Block, address, site.Size, site.Write) is not { } span || (span.Host is null && _spans == MaxSpans))
        {
            return null;
        }

        int distance = address.Offset - span.Low;
        if (distance < 0 || distance + site.Size > span.Length || span.Length > 4096 || (address.IsKnown && span.High > 4096))
        {
            throw new InvalidOperationException($"The translation of {_mnemonic} at {Eip:x8} would reach beyond the span that was checked for it.");
        }

        if (span.Host is null || (_repeating && span.CheckedAt == Eip))
        {
            MemorySite lowest = site with { Displacement = site.Displacement - (uint)distance };
            Label? crossing = address.IsKnown ? null : SideExit(SideExitKind.Span, site);
            LocalBuilder host = _memory.EmitSpan(this, Linear(lowest, default), span, MemoryExit(site), crossing);
            if (span.Host is null)
            {
                _spans++;
                (span.Host, span.CheckedAt) = (host, Eip);
            }
            else
            {
                // At a loop's end, for the next turn.
                Il.Emit(OpCodes.Ldloc, host);
                Il.Emit(OpCodes.Stloc, span.Host);
            }
        }

        Il.Emit(OpCodes.Ldloc, span.Host);
        if (distance != 0)
        {
            Il.Emit(OpCodes.Ldc_I8, (long)distance);
            Il.Emit(OpCodes.Add);
        }

        return StoreTemp64();
    }
}
