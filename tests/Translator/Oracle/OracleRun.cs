using System.Text;
using Dbt.Translator;
using Dbt.Translator.Instructions;
using Iced.Intel;
using Decoder = Iced.Intel.Decoder;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>Runs vectors natively and on engines, and collects what differs, one minimal example for each kind.</summary>
internal sealed class OracleRun : IDisposable
{
    private const int BatchSize = 1000, MaxKinds = 40;

    private readonly NativeProcessor _native = new();
    private readonly GuestProcessor[] _guests;
    private readonly Candidate[][] _rows;
    private readonly bool _fx;
    private readonly SortedDictionary<string, (int Count, string Example)> _failures = [];
    private readonly Dictionary<InstructionRow, int> _perRow = [];

    /// <param name="wanted">Which rows of the instruction table are drawn from.</param>
    /// <param name="fx">Whether x87, MMX and SSE state counts.</param>
    /// <param name="guests">The engines; disposed with this.</param>
    public OracleRun(Func<InstructionRow, bool> wanted, bool fx, params GuestProcessor[] guests)
    {
        _guests = guests;
        _fx = fx;
        _rows = Candidate.All(wanted);
    }

    /// <summary>Vectors compared so far, on one engine or more.</summary>
    public long Compared { get; private set; }

    /// <summary>Vectors of which nothing can be said: they reached into the harness, or did not end.</summary>
    public long Unusable { get; private set; }

    /// <summary>Whether sequences are to hold few instructions that translated code leaves to the interpreter.</summary>
    public bool MostlyTranslated { get; init; }

    /// <summary>Kinds of differences found.</summary>
    public int Kinds => _failures.Count;

    /// <summary>Times each row was run (as an instruction of a vector).</summary>
    public IReadOnlyDictionary<InstructionRow, int> PerRow => _perRow;

    /// <summary>Runs a number of vectors.</summary>
    /// <param name="seed">Reproduces them.</param>
    /// <param name="count">How many.</param>
    /// <param name="make">Draws one.</param>
    public void Run(int seed, int count, Func<VectorGenerator, Random, TestVector> make)
    {
        for (int batch = 0; count > 0 && _failures.Count < MaxKinds; batch++, count -= BatchSize)
        {
            var random = new Random(HashCode(seed, batch));
            byte[] background = Backgrounds.Make(random);
            var generator = new VectorGenerator(random, _rows, MostlyTranslated);
            var vectors = new TestVector[Math.Min(count, BatchSize)];
            for (int i = 0; i < vectors.Length; i++)
            {
                vectors[i] = make(generator, random);
            }

            Outcome[] outcomes = _native.Run(background, vectors);
            for (int i = 0; i < vectors.Length; i++)
            {
                One(background, vectors[i], outcomes[i], $"seed {seed}, batch {batch}, vector {i}");
            }
        }
    }

    /// <summary>The differences: how often, and a minimal example of each kind.</summary>
    public string Report()
    {
        var text = new StringBuilder();
        text.AppendLine($"{Compared} vectors compared, {Unusable} unusable, harness started {_native.Starts} times, {_failures.Count} kinds of differences");
        foreach ((string kind, (int count, string example)) in _failures.OrderByDescending(f => f.Value.Count))
        {
            text.AppendLine().AppendLine($"== {count} x {kind}").Append(example);
        }

        foreach (GuestProcessor guest in _guests)
        {
            EngineStatistics s = guest.Statistics;
            text.AppendLine($"{guest.Name}: {s.InterpretedInstructions} instructions interpreted, {s.QuickInstructions} quick, {s.OptimizedInstructions} optimised");
        }

        foreach (GuestProcessor guest in _guests.Where(g => g.Unimplemented.Count > 0))
        {
            text.AppendLine($"not implemented in {guest.Name}: {string.Join(' ', guest.Unimplemented)}");
        }

        return text.ToString();
    }

    /// <summary>Runs of each row, one line each.</summary>
    public string Coverage() =>
        string.Join('\n', _rows.Select(r => r[0].Row).OrderBy(r => r.Family).ThenBy(r => r.Mnemonic.ToString())
            .Select(r => $"{r.Family,-12} {r.Mnemonic,-14} {r.Form,-8} {_perRow.GetValueOrDefault(r),9}"));

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (GuestProcessor guest in _guests)
        {
            guest.Dispose();
        }

        _native.Dispose();
    }

    private static int HashCode(int seed, int batch) => unchecked((seed * 1000003) ^ (batch * 7919));

    private void One(byte[] background, TestVector vector, Outcome native, string origin)
    {
        if (native.Unusable)
        {
            Unusable++;
            return;
        }

        Count(vector);
        bool compared = false;
        foreach (GuestProcessor guest in _guests)
        {
            Outcome outcome = guest.Run(background, vector);
            if (outcome.Unusable)
            {
                Unusable++;
                break;
            }

            compared = true;
            if (OutcomeComparer.Compare(vector, native, outcome, _fx) is { } difference)
            {
                Add(background, vector, guest, difference, origin);
            }
        }

        Compared += compared ? 1 : 0;
    }

    private void Add(byte[] background, TestVector vector, GuestProcessor guest, string difference, string origin)
    {
        // Much of the same: what looks like a known kind is not shrunk again.
        string quick = Kind(vector, guest, difference);
        if (vector.Code.Count == 1 && _failures.TryGetValue(quick, out (int Count, string Example) known))
        {
            _failures[quick] = (known.Count + 1, known.Example);
            return;
        }

        var shrinker = new Shrinker((memory, candidate) => Difference(memory, candidate, guest) is not null);
        (background, TestVector small) = shrinker.Shrink(background, vector);
        string final = Difference(background, small, guest) ?? difference + "(does not show again)\n";
        string kind = Kind(small, guest, final);
        Outcome native = _native.Run(background, [small])[0];
        string example = $"{guest.Name}, {origin}\n{small}native ends with vector {native.Vector} error {native.Error:x} cr2 {native.Cr2:x8} eip {native.Eip:x8}\n{final}";
        _failures[kind] = _failures.TryGetValue(kind, out known) ? (known.Count + 1, known.Example) : (1, example);
    }

    private string? Difference(byte[] background, TestVector vector, GuestProcessor guest)
    {
        Outcome native = _native.Run(background, [vector])[0];
        if (native.Unusable)
        {
            return null;
        }

        Outcome outcome = guest.Run(background, vector);
        return outcome.Unusable ? null : OutcomeComparer.Compare(vector, native, outcome, _fx);
    }

    private static string Kind(TestVector vector, GuestProcessor guest, string difference)
    {
        var fields = difference.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split(':')[0].Split('[')[0]).Distinct();
        var mnemonics = vector.Code.Where(c => c[0] != 0x90).TakeLast(2).Select(c => Decoder.Create(32, new ByteArrayCodeReader(c), 0).Decode().Mnemonic);
        return $"{guest.Name}: {string.Join(' ', mnemonics)} [{string.Join(' ', fields)}]";
    }

    private void Count(TestVector vector)
    {
        foreach (byte[] bytes in vector.Code)
        {
            Instruction instruction = Decoder.Create(32, new ByteArrayCodeReader(bytes), 0).Decode();
            if (InstructionTable.Lookup(instruction) is { } row)
            {
                _perRow[row] = _perRow.GetValueOrDefault(row) + 1;
            }
        }
    }
}
