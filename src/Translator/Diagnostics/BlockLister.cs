using System.Globalization;
using Dbt.Translator.Cache;
using Dbt.Translator.Emit;
using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Diagnostics;

/// <summary>
/// Makes listings. What runs keeps neither its IL nor the region that it was made from, so a block is emitted and compiled anew by the same
/// rules, and thrown away: guest code, IL and host code of a listing belong together, and nothing has to be kept for it.
/// </summary>
internal sealed unsafe class BlockLister(CpuState* cpu, TierPolicy policy, CodeCache cache, RegionCompiler compiler)
{
    /// <summary>Lists the block at an EIP.</summary>
    /// <returns>Null where nothing is mapped there, or it isn't translated.</returns>
    public BlockListing? List(uint eip)
    {
        long entry = SoftwareTlb.ExecuteEntry(cpu, eip >> 12);
        if (entry == 0 || (cpu->Mode & CpuMode.Flat) == 0 || !Translatable.IsModeTranslated(cpu->Mode))
        {
            return null;
        }

        CodeBlock block = cache.Get((nint)(entry + eip), eip, cpu->Mode);
        bool optimize = block.Region is not null || !policy.Quick || block.Quick is null;
        Translation? made = block is { Windowed.Function: not 0, Region: { } plain } ? compiler.BuildWindowed(plain) : compiler.Build(block, optimize);
        if (made is not { } translation)
        {
            return null;
        }

        Region region = translation.Region!;
        var marks = new List<(int Offset, uint Eip)>();
        EmitTarget target = compiler.TargetOf(optimize) with { Marks = marks };
        if (Make(region, target, out IReadOnlyList<IlLine> il) is not var (emitted, code))
        {
            cache.Drop(translation);
            return null;
        }

        IReadOnlyList<string> host = HostCode.Read(code.Function, out int hostBytes);
        code.KeepAlive();
        var listing = new BlockListing(Title(block, region, emitted, hostBytes), [.. Rows(region, il, marks)], host);
        cache.Drop(translation);
        return listing;
    }

    /// <summary>Emits and compiles it; IL can be read before that only.</summary>
    private (EmittedRegion Emitted, CompiledCode Code)? Make(Region region, EmitTarget target, out IReadOnlyList<IlLine> il)
    {
        if (region.IsWindowed)
        {
            // Which accesses are checked all the same is known afterwards.
            EmittedRegion trial = RegionEmitter.Emit(region, compiler.TargetOf(optimize: true));
            _ = RegionCompiler.CompileWindowed(region, compiler.TargetOf(optimize: true), ref trial);
        }

        EmittedRegion emitted = RegionEmitter.Emit(region, target);
        il = IlReader.Read(emitted.Method);
        CompiledCode? code = region.IsWindowed ? CompiledCode.CompileWindowed(emitted, out _) : CompiledCode.Compile(emitted);
        return code is null ? null : (emitted, code);
    }

    private string Title(CodeBlock block, Region region, EmittedRegion emitted, int hostBytes)
    {
        string runs = block.Region is not null ? "an optimised region runs here"
            : block.Quick is not null ? "a quick translation runs here"
            : "no translation is entered here: it is interpreted, or part of another region";
        string form = policy.Quick && block.Region is null && block.Quick is not null ? "quick translation" : "optimised region";
        return string.Create(CultureInfo.InvariantCulture,
            $"{form} of {region.Entry:x8}: {region.Blocks.Count} blocks, {region.InstructionCount} guest instructions, {emitted.IlBytes} bytes of IL, {hostBytes} bytes of host code; {runs}");
    }

    private static IEnumerable<ListedInstruction> Rows(Region region, IReadOnlyList<IlLine> il, List<(int Offset, uint Eip)> marks)
    {
        var instructions = new Dictionary<uint, Instruction>();
        foreach (Instruction instruction in region.Blocks.SelectMany(block => block.Instructions))
        {
            instructions.TryAdd(instruction.IP32, instruction);
        }

        var formatter = new NasmFormatter();
        var output = new StringOutput();
        int next = 0;
        yield return new ListedInstruction(0, "entry", Until(marks.Count > 0 ? marks[0].Offset : int.MaxValue));
        for (int i = 0; i < marks.Count; i++)
        {
            int end = i + 1 < marks.Count ? marks[i + 1].Offset : int.MaxValue;
            string guest = "exits";
            if (instructions.TryGetValue(marks[i].Eip, out Instruction instruction))
            {
                formatter.Format(instruction, output);
                guest = output.ToStringAndReset();
            }

            yield return new ListedInstruction(marks[i].Eip, guest, Until(end));
        }

        List<string> Until(int offset)
        {
            var lines = new List<string>();
            while (next < il.Count && il[next].Offset < offset)
            {
                lines.Add(il[next++].Text);
            }

            return lines;
        }
    }
}
