internal import Basics

/// What a job asks of the cluster, as arguments of `sbatch`.
struct SlurmSubmission: Sendable, Hashable {
    /// The file in a job's folder that Slurm's own daemons write to.
    static let outputName = "slurm.log"

    /// What `squeue` shows: `census.train`.
    var name: String
    /// Unique to this submission; goes into the job's comment.
    var token: String
    /// Where the job starts and `sbatch` runs, absolute.
    var directory: String
    /// Where the nodes write what Slurm itself says of the job, absolute.
    var output: String
    var cpus: Int?
    var memoryByteCount: Int64?
    var gpus: Int?
    /// Slurm counts in minutes; rounded up.
    var timeLimit: Duration?
    var partition: String?
    var account: String?
    var qos: String?
    var constraint: String?
    var reservation: String?
    /// Whether Slurm may start it again after its node failed.
    var canRequeue = true
    /// Jobs that must have ended before.
    var after: [String] = []
    /// Whether they must have succeeded.
    var needsSuccess = true
    /// Further arguments, as they are.
    var options: [String] = []

    var arguments: [String] {
        var arguments = [
            "--parsable", "--job-name=\(name)", "--comment=mlops \(token)", "--chdir=\(directory)",
            "--output=\(output)",
            // What an attempt said before its node failed is kept.
            "--open-mode=append", "--export=ALL", "--nodes=1", "--ntasks=1",
            canRequeue ? "--requeue" : "--no-requeue",
        ]
        if let cpus { arguments.append("--cpus-per-task=\(cpus)") }
        if let memoryByteCount { arguments.append("--mem=\(max(1, (memoryByteCount + 1_048_575) >> 20))M") }
        if let gpus, gpus > 0 { arguments.append("--gpus=\(gpus)") }
        if let timeLimit { arguments.append("--time=\(max(1, Int((timeLimit.seconds / 60).rounded(.up))))") }
        if let partition { arguments.append("--partition=\(partition)") }
        if let account { arguments.append("--account=\(account)") }
        if let qos { arguments.append("--qos=\(qos)") }
        if let constraint { arguments.append("--constraint=\(constraint)") }
        if let reservation { arguments.append("--reservation=\(reservation)") }
        if !after.isEmpty {
            let kind = needsSuccess ? "afterok" : "afterany"
            arguments += ["--dependency=\(kind):\(after.joined(separator: ":"))", "--kill-on-invalid-dep=yes"]
        }
        return arguments + options
    }

    /// What to do about a refusal.
    func hint(for message: String) -> String {
        let text = message.lowercased()
        if text.contains("partition") { return "run `sinfo` to see the partitions, and correct `partition`" }
        if text.contains("account") { return "run `sacctmgr show associations user=$USER`, and correct `account`" }
        if text.contains("qos") { return "run `sacctmgr show qos`, and correct `qos`" }
        if text.contains("generic resource") || text.contains("gres") {
            return "no node has such GPUs; run `sinfo --Format=nodelist,gres` to see what there is"
        }
        if text.contains("memory") || text.contains("node configuration") || text.contains("cpu") {
            return "no node is that large; run `sinfo --Format=nodelist,cpus,memory`, and lower `resources`"
        }
        if text.contains("time limit") { return "run `sinfo --Format=partition,time`, and lower `timeout`" }
        return "run `sinfo` to see the cluster's state"
    }
}
