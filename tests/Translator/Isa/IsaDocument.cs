using System.Text;
using Dbt.Tests.Translator.Oracle;
using Dbt.Translator.Instructions;
using Iced.Intel;

namespace Dbt.Tests.Translator.Isa;

/// <summary>Writes docs/ISA.md from the instruction table, Iced's list of all there is, and the counts of the oracle's last long run.</summary>
internal sealed class IsaDocument(VectorRuns runs)
{
    private readonly Dictionary<InstructionRow, List<Code>> _encodings = [];
    private readonly SortedDictionary<string, (bool Never, string Reason, SortedSet<string> Names)> _missing = [];

    /// <summary>Encodings that neither the table has nor a reason is given for.</summary>
    public List<Code> Unexplained { get; } = [];

    /// <summary>The document.</summary>
    public string Write()
    {
        Sort();
        var text = new StringBuilder();
        text.Append($"""
            # Instructions

            Generated from the instruction table and `docs/isa-vectors.tsv`; how: `docs/ADDING.md`. Do not edit.

            Every instruction is carried out by the interpreter; *translated* ones also in compiled code, where their operands allow. A vector is
            one state (registers, flags, memory, x87 and SSE state) before some code; it is run by the host's processor and by the interpreter, the
            quick and the optimised engine, and all must end alike. The columns of runs say how often an instruction was carried out in the
            vectors of the last long run: {runs.Title}.


            """);
        Summary(text);
        foreach (IGrouping<string, InstructionRow> family in InstructionTable.Rows.GroupBy(row => row.Family))
        {
            Family(text, family.Key, [.. family.Where(row => !IsMissing(row)).OrderBy(row => row.Mnemonic.ToString(), StringComparer.Ordinal)]);
        }

        Missing(text, "Not yet", never: false, "These raise #UD, and the log names them. They may come.");
        Missing(text, "Never", never: true, "These raise #UD, and the log names those that can be told from undefined bytes. They are not meant to come.");
        return text.ToString();
    }

    private static bool IsMissing(InstructionRow row) => row.Traits.HasFlag(RowTraits.Missing);

    private void Sort()
    {
        foreach (Code code in Enum.GetValues<Code>())
        {
            OpCodeInfo info = code.ToOpCode();

            // Those with FWAIT before them are two instructions.
            if (!info.IsInstruction || !info.Mode32 || info.Fwait)
            {
                continue;
            }

            InstructionRow? row = InstructionTable.Lookup(Candidate.Specimen(code, info));
            if (row is not null && !IsMissing(row) && info.DecoderOption is DecoderOptions.None or DecoderOptions.MPX
                && info.Encoding is EncodingKind.Legacy or EncodingKind.VEX)
            {
                System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(_encodings, row!, out _) ??= [];
                _encodings[row!].Add(code);
                continue;
            }

            if (MissingFeatures.Of(code) is not { } reason)
            {
                Unexplained.Add(code);
                continue;
            }

            string feature = string.Join(" and ", code.CpuidFeatures().Select(f => f.ToString()));
            if (!_missing.TryGetValue(feature, out (bool Never, string Reason, SortedSet<string> Names) entry))
            {
                entry = (reason.Never, reason.Reason, new SortedSet<string>(StringComparer.Ordinal));
                _missing.Add(feature, entry);
            }

            entry.Names.Add(code.Mnemonic().ToString().ToUpperInvariant());
        }
    }

    private void Summary(StringBuilder text)
    {
        text.Append("| family | instructions | translated | encodings | encodings that were run | runs |\n|---|---|---|---|---|---|\n");
        long all = 0;
        foreach (IGrouping<string, InstructionRow> family in InstructionTable.Rows.Where(row => !IsMissing(row)).GroupBy(row => row.Family))
        {
            Code[] codes = [.. family.SelectMany(row => _encodings.GetValueOrDefault(row, []))];
            long total = codes.Sum(Runs);
            all += total;
            text.Append($"| {family.Key} | {family.Count()} | {family.Count(row => row.Emit is not null)} | {codes.Length} | {codes.Count(c => Runs(c) > 0)} | {total:N0} |\n");
        }

        text.Append($"| all | {InstructionTable.Rows.Count(row => !IsMissing(row))} | {InstructionTable.Rows.Count(row => row.Emit is not null)} |"
            + $" {_encodings.Values.Sum(c => c.Count)} | {_encodings.Values.Sum(c => c.Count(code => Runs(code) > 0))} | {all:N0} |\n\n");
    }

    private void Family(StringBuilder text, string name, InstructionRow[] rows)
    {
        text.Append($"## {name}\n\n| instruction | SDM vol. 2 | encodings | engines | runs, registers | runs, memory | without vectors |\n|---|---|---|---|---|---|---|\n");
        foreach (InstructionRow row in rows)
        {
            List<Code> codes = _encodings.GetValueOrDefault(row, []);
            string form = row.Form == InstructionForm.General ? "" : $" ({row.Form.ToString().ToLowerInvariant()})";
            string engines = row.Emit is null ? "interpreter" : "translated";
            text.Append($"| {row.Mnemonic.ToString().ToUpperInvariant()}{form} | {row.Manual} | {codes.Count} | {engines} |"
                + $" {codes.Sum(c => runs.Of(c).Registers):N0} | {codes.Sum(c => runs.Of(c).Memory):N0} | {Left(row, codes)} |\n");
        }

        text.Append('\n');
    }

    private string Left(InstructionRow row, List<Code> codes)
    {
        Code[] without = [.. codes.Where(c => Runs(c) == 0)];
        if (without.Length == 0)
        {
            return "";
        }

        string? reason = Candidate.WhyNot(row);
        string names = without.Length == codes.Count ? "all" : string.Join(", ", without);
        return reason is not null ? $"{names}: {reason}" : $"{names}: not drawn";
    }

    private void Missing(StringBuilder text, string title, bool never, string words)
    {
        text.Append($"## {title}\n\n{words}\n\n| CPUID feature | why | instructions |\n|---|---|---|\n");
        foreach ((string feature, (bool isNever, string reason, SortedSet<string> names)) in _missing.Where(m => m.Value.Never == never))
        {
            text.Append($"| {feature} | {reason} | {string.Join(' ', names)} |\n");
        }

        text.Append(never ? "" : "\n");
    }

    private long Runs(Code code) => runs.Of(code).Registers + runs.Of(code).Memory;
}
