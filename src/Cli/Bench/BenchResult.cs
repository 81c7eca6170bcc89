namespace Dbt.Cli.Bench;

/// <summary>What was measured: for each workload and machine a sample a round.</summary>
/// <param name="machines">Names of the machines in the order in which they ran.</param>
/// <param name="workloads">The workloads.</param>
internal sealed class BenchResult(IReadOnlyList<string> machines, IReadOnlyList<Workload> workloads)
{
    private readonly Dictionary<(string Workload, string Machine), List<Sample>> _samples = [];

    /// <summary>Names of the machines; native comes first where there is one.</summary>
    public IReadOnlyList<string> Machines => machines;

    /// <summary>The workloads.</summary>
    public IReadOnlyList<Workload> Workloads => workloads;

    /// <summary>Why there is no native run; null where there is one.</summary>
    public string? WhyNotNative { get; init; }

    /// <summary>Whether the user ended it: what did not run is no fault then.</summary>
    public bool WasInterrupted { get; set; }

    /// <summary>Whether anything has been measured.</summary>
    public bool HasSamples => _samples.Count > 0;

    /// <summary>Architecture of the native programs, as Debian names it.</summary>
    public string NativeArchitecture { get; init; } = "";

    /// <summary>
    /// Whose output counts as right: that of the same programs on the host, else QEMU's, else the simplest engine's. Null where none of these is there.
    /// </summary>
    public string? Reference => machines.FirstOrDefault(IsNativeOfGuest) ?? new[] { MachineCommand.Qemu, "interpreter", "quick", "optimized", MachineCommand.Checked, MachineCommand.Windowed }.FirstOrDefault(machines.Contains);

    /// <summary>A machine's name as it is shown: programs that aren't the guest's own are told as such.</summary>
    public string Title(string machine) => machine == MachineCommand.Native && !IsNativeOfGuest(machine) ? NativeArchitecture : machine;

    /// <summary>Adds the next round's sample.</summary>
    public void Add(string workload, string machine, Sample sample)
    {
        if (!_samples.TryGetValue((workload, machine), out List<Sample>? list))
        {
            _samples[(workload, machine)] = list = [];
        }

        list.Add(sample);
    }

    /// <summary>The rounds of a workload on a machine.</summary>
    public IReadOnlyList<Sample> Samples(string workload, string machine) => _samples.GetValueOrDefault((workload, machine)) ?? [];

    /// <summary>What is wrong with a workload on a machine; null where nothing is.</summary>
    public string? Fault(string workload, string machine)
    {
        IReadOnlyList<Sample> samples = Samples(workload, machine);
        if (samples.FirstOrDefault(sample => sample.Failure is not null)?.Failure is string failure)
        {
            return failure;
        }

        string? reference = ReferenceOf(workload, machine);
        string? right = reference is null ? null : Checksum(workload, reference);
        return samples.Count == 0 ? "it did not run"
            : right is null ? $"there is no output of {reference ?? "another machine"} to compare with"
            : samples.All(sample => sample.Checksum == right) ? null
            : $"wrong output: its checksum is not that of {reference}{(machine == reference ? "'s first round" : "")}";
    }

    /// <summary>What is to be known beside the figures.</summary>
    public IEnumerable<string> Notes() =>
        from workload in workloads
        where Fault(workload.Name, MachineCommand.Tiered) is null && Checksum(workload.Name, MachineCommand.Qemu) is { } qemus && qemus != Checksum(workload.Name, MachineCommand.Tiered)
        select $"{workload.Name}: its output on qemu is another, as it has last digits of x87 functions, which are each processor's own";

    private string? Checksum(string workload, string machine) => Samples(workload, machine).FirstOrDefault(static sample => sample.Failure is null)?.Checksum;

    // Programs of another architecture compute with other instructions: their last digits may be others, and their output is only to be always the same. So is QEMU's where digits are its own.
    private string? ReferenceOf(string workload, string machine)
    {
        bool hasOwnDigits = workloads.First(known => known.Name == workload).HasOwnDigits;
        return machine == MachineCommand.Native || (hasOwnDigits && machine == MachineCommand.Qemu) ? machine
            : hasOwnDigits && Reference == MachineCommand.Qemu ? machines.First(static own => own is not (MachineCommand.Native or MachineCommand.Qemu))
            : Reference;
    }

    private bool IsNativeOfGuest(string machine) => machine == MachineCommand.Native && NativeArchitecture == BenchSettings.GuestArchitecture;

    /// <summary>All that is wrong.</summary>
    public IEnumerable<(string Workload, string Machine, string Fault)> Faults() =>
        from workload in workloads
        from machine in machines
        let fault = Fault(workload.Name, machine)
        where fault is not null && !(WasInterrupted && (Samples(workload.Name, machine).Count == 0 || Samples(workload.Name, Reference ?? machine).Count == 0))
        select (workload.Name, machine, fault);

    /// <summary>The median over the rounds; null where something is wrong with it.</summary>
    public double? Median(string workload, string machine, Func<Sample, double> of) =>
        Fault(workload, machine) is null ? Statistics.Median(Samples(workload, machine).Select(of)) : null;

    /// <summary>The median of the rounds' ratios of one machine to another; null where something is wrong with either.</summary>
    public double? Ratio(string workload, string machine, string to, Func<Sample, double> of) =>
        Fault(workload, machine) is null && Fault(workload, to) is null
            ? Statistics.Median(Samples(workload, machine).Zip(Samples(workload, to), (sample, other) => of(sample) / of(other)))
            : null;

    /// <summary>Geometric mean of the ratios of those workloads that have one; null where none has.</summary>
    public double? MeanRatio(IEnumerable<Workload> of, string machine, string to, Func<Sample, double> what) =>
        Statistics.GeometricMean(of.Select(workload => Ratio(workload.Name, machine, to, what)).OfType<double>());
}
